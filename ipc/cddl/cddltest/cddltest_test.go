package cddltest_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/ipc/cddl/cddltest"
)

// TestVerdicts keeps the validator honest: for each construct that lnk writes, what RFC 8610 admits and what it does not.
func TestVerdicts(t *testing.T) {
	tests := []struct{ kind, good, bad string }{
		{`uint`, "00 17 1818 1bffffffffffffffff", "20 40 60 80 a0 f4 f6 fb3ff199999999999a 1800 0000"},
		{`int`, "00 20 3bffffffffffffffff", "40 f90000 c000"},
		{`bool`, "f4 f5", "f6 00"},
		{`float`, "f93e00", "01"},
		{`null`, "f6", "f4 f7"},
		{`any`, "00 a10000 f6", "f7 c000 9fff ff"},
		{`"a" / "b"`, "6161 6162", "6163 4161 60"},
		{`1..3`, "01 02 03", "00 04 21 6131"},
		{`-2..0`, "21 20 00", "22 01"},
		{`uint .size 1`, "00 18ff", "190100 20"},
		{`uint .ge 16`, "10 18ff", "0f 20"},
		{`bstr .size 2`, "420102", "4101 43010203 626161"},
		{`bstr .size 1 / bstr .size 3`, "4101 43010203", "420102"},
		{`tstr .size (2..3)`, "626161 63616161 62c3a4", "6161 6461616161 426161"},
		{`bstr .cbor (uint / tstr)`, "4101 426161", "4141 420101 40 01"},
		{`[* uint]`, "80 820102", "8120 a0"},
		{`[2*2 uint]`, "820102", "8101 83010203"},
		{`[+ (uint / null)]`, "81f6 8201f6", "80"},
		{`{ 0: uint, ? 1: tstr }`, "a10001 a20001016161", "a0 a1016161 a2000102 a200010101 a10061 a300010161610200"},
		{`{ "a": uint, -1: uint }`, "a22001616102", "a120 a22001616120"},
		{`{ a: uint }`, "a1616101", "a1416101 a10001"},
		{`{ * tstr => uint }`, "a0 a1616101", "a10101 a1616120"},
		{`{ 0: [* tree], * later => any }`, "a10080 a2008010f6 a10081a10080", "a200800ff6 a10081a0"},
		{`tree ; and a comment`, "a10080 a10081a10080", "a10081a0"},
	}
	cddl := "; recursive\n\ntree = { 0: [* tree], * later => any }\nlater = uint .ge 16\n"
	var items []cddltest.Item
	admitted := map[int]bool{}
	add := func(rule, texts string, good bool) {
		for text := range strings.FieldsSeq(texts) {
			data, err := hex.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			admitted[len(items)] = good
			items = append(items, cddltest.Item{Rule: rule, CBOR: data})
		}
	}
	for i, test := range tests {
		rule := fmt.Sprintf("rule%d", i)
		cddl += rule + " = " + test.kind + "\n"
		add(rule, test.good, true)
		add(rule, test.bad, false)
	}
	for i, reason := range cddltest.Verdicts(t, cddl, items) {
		if (reason == "") != admitted[i] {
			t.Errorf("%s, %x: %q", items[i].Rule, items[i].CBOR, reason)
		}
	}
}
