//go:build !linux && !darwin

package token

import "time"

func sinceBoot() (boot string, up time.Duration) { return "", 0 }
