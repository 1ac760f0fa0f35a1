//go:build !darwin

package launchd

import "os"

// Activate returns [ErrNotManaged]: only macOS has launchd.
func Activate(string) ([]*os.File, error) { return nil, ErrNotManaged }
