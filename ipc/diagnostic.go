package ipc

import (
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

var diagnostics = must(cbor.DiagOptions{MaxArrayElements: 1 << 24, MaxMapPairs: 1 << 24}.DiagMode())

// Diagnostic returns data, one CBOR item, in the diagnostic notation of RFC 8949 section 8, for people to read.
func Diagnostic(data []byte) (string, error) {
	text, err := diagnostics.Diagnose(data)
	if err != nil {
		return "", fmt.Errorf("cannot show CBOR: %w", err)
	}
	return text, nil
}

// DiagnosticFrame is Diagnostic for an envelope; its payload is shown as what it holds, <<…>> (RFC 8610 appendix G.3).
func DiagnosticFrame(frame []byte) (string, error) {
	text, err := Diagnostic(frame)
	if err != nil {
		return "", err
	}
	payload := payloadOf(frame)
	inner, err := Diagnostic(payload)
	if err != nil {
		return text, nil // not an envelope, or its payload is not CBOR: the bytes say more
	}
	outer := fmt.Sprintf("h'%x'", payload)
	at := strings.LastIndex(text, outer)
	if at < 0 {
		return text, nil
	}
	return text[:at] + "<<" + inner + ">>" + text[at+len(outer):], nil
}

func payloadOf(frame []byte) []byte {
	var q request
	if q.parse(frame) == nil {
		return q.payload
	}
	var a response
	if a.parse(frame) == nil {
		return a.payload
	}
	return nil
}
