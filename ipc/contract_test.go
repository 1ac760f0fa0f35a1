package ipc

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/ipc/cddl"
	"github.com/lnk-suite/lnk/ipc/cddl/cddltest"
)

// pageFrames returns the frames of the page's dialogues and envelopes, without their lengths.
func pageFrames(t *testing.T) (frames [][]byte) {
	for _, block := range blocks(t, "wire") {
		for line := range strings.Lines(block) {
			if strings.HasPrefix(line, "> ") || strings.HasPrefix(line, "< ") {
				frames = append(frames, unhex(t, strings.TrimSpace(line[2:]))[frameHead:])
			}
		}
	}
	for _, block := range blocks(t, "envelopes") {
		for line := range strings.Lines(block) {
			_, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
			frames = append(frames, unhex(t, text)[frameHead:])
		}
	}
	return frames
}

// looseCall stands for the calls of any service.
const looseCall = "call = { 0: tstr .size (1..64), ? 1: any, ? 2: uint, ? 3: uint, * later => any }\n"

// TestParsersFollowTheCDDL holds our parsers against an independent validator of the published CDDL: both must admit the frames
// of the page and the same ones of some thousand that differ from them in a byte.
func TestParsersFollowTheCDDL(t *testing.T) {
	var items []cddltest.Item
	var want []bool
	for _, frame := range pageFrames(t) {
		for _, b := range append(neighbours(frame), frame) {
			items = append(items, cddltest.Item{Rule: "request", CBOR: b}, cddltest.Item{Rule: "answer", CBOR: b})
			want = append(want, isRequest(b), new(response).parse(b) == nil)
		}
	}
	admitted := 0
	for i, reason := range cddltest.Verdicts(t, cddl.Wire+"answer = ok / error\n"+looseCall, items) {
		if (reason == "") != want[i] {
			t.Errorf("%s %x: the CDDL says %q, our parser admits it: %v", items[i].Rule, items[i].CBOR, reason, want[i])
		}
		if reason == "" {
			admitted++
		}
	}
	if refused := len(items) - admitted; admitted < 100 || refused < 1000 {
		t.Errorf("%d frames were admitted and %d refused: that is too few to say anything", admitted, refused)
	}
}

func isRequest(b []byte) bool {
	var r request
	var c call
	if r.parse(b) != nil || r.payload != nil && c.parse(r.payload) != nil {
		return false
	}
	return r.payload == nil || c.method != nil || c.isGrant()
}

// neighbours returns what differs from b in one byte: another value, none, or one more.
func neighbours(b []byte) (all [][]byte) {
	for i := range b {
		for _, flip := range []byte{0x01, 0x02, 0x10, 0x20, 0x60} {
			other := bytes.Clone(b)
			other[i] ^= flip
			all = append(all, other)
		}
		all = append(all, slices.Delete(bytes.Clone(b), i, i+1), slices.Insert(bytes.Clone(b), i, b[i]))
	}
	return all
}
