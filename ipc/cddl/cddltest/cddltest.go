// Package cddltest holds CBOR against CDDL with a validator that shares nothing with package cddl and with the codec of
// package ipc: .ci/npm/cddl.mjs, written from RFC 8610 on top of libraries from npm. It is for tests.
package cddltest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// An Item is what Verdicts judges.
type Item struct {
	Rule string // of the CDDL
	CBOR []byte // one item, deterministically encoded
}

// Verdicts tells of each item why its rule does not admit it, "" if it does. CDDL that the validator cannot read, or that lacks
// a rule, fails the test.
func Verdicts(tb testing.TB, cddl string, items []Item) []string {
	tb.Helper()
	question, err := json.Marshal(question{cddl, items})
	if err != nil {
		tb.Fatal(err)
	}
	var stderr bytes.Buffer
	validator := exec.Command("node", filepath.Join(npm(tb), "cddl.mjs"))
	validator.Stdin, validator.Stderr = bytes.NewReader(question), &stderr
	answer, err := validator.Output()
	if err != nil {
		tb.Fatalf("the CDDL validator: %v\n%s", err, &stderr)
	}
	var verdicts []*string
	if err := json.Unmarshal(answer, &verdicts); err != nil || len(verdicts) != len(items) {
		tb.Fatalf("the CDDL validator answers %q: %v", answer, err)
	}
	reasons := make([]string, len(verdicts))
	for i, reason := range verdicts {
		if reason != nil {
			reasons[i] = *reason
		}
	}
	return reasons
}

type question struct {
	CDDL  string `json:"cddl"`
	Items []Item `json:"items"`
}

// MarshalJSON writes the CBOR in hexadecimal.
func (i Item) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"rule": i.Rule, "hex": hex.EncodeToString(i.CBOR)})
}

// npm finds the folder of what the tests take from npm.
func npm(tb testing.TB) string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		folder := filepath.Join(dir, ".ci/npm")
		if _, err := os.Stat(filepath.Join(folder, "node_modules")); err == nil {
			return folder
		}
		dir = filepath.Dir(dir)
	}
	tb.Fatal("what the tests take from npm is not installed: run make test, which installs it")
	return ""
}
