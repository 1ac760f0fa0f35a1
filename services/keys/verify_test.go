package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// zip215Message is the message of every case in zip215.json.
var zip215Message = []byte("Zcash")

func zip215Vectors(t testing.TB) []Item {
	t.Helper()
	data, err := os.ReadFile("testdata/zip215.json")
	if err != nil {
		t.Fatal(err)
	}
	var pairs [][2]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		t.Fatal(err)
	}
	if len(pairs) != 196 {
		t.Fatalf("%d vectors, want 196", len(pairs))
	}
	var items []Item
	for _, p := range pairs {
		items = append(items, Item{Pub: unhex(t, p[0]), Msg: zip215Message, Sig: unhex(t, p[1])})
	}
	return items
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everyPath asks single, expanded and batch verification, and fails the test unless they agree.
func everyPath(t testing.TB, it Item) bool {
	t.Helper()
	single := Verify(it.Pub, it.Msg, it.Sig)
	expanded := false
	if key, err := Expand(it.Pub); err == nil {
		expanded = key.Verify(it.Msg, it.Sig)
	}
	all, each := VerifyBatch([]Item{it, it})
	if single != expanded || single != all || single != each[0] || single != each[1] {
		t.Fatalf("key %x signature %x: single %v, expanded %v, batch %v %v", it.Pub, it.Sig, single, expanded, all, each)
	}
	return single
}

func TestZIP215(t *testing.T) {
	items := zip215Vectors(t)
	strict := 0
	for _, it := range items {
		if !everyPath(t, it) {
			t.Errorf("key %x signature %x is refused", it.Pub, it.Sig)
		}
		if VerifyStrict(it.Pub, it.Msg, it.Sig) {
			strict++
		}
		if err := CheckPublicKey(it.Pub); err == nil {
			t.Errorf("key %x of small order is admitted", it.Pub)
		}
		bad := Item{it.Pub, it.Msg, append([]byte{}, it.Sig...)}
		bad.Sig[32] = 1 // s = 1 is in range but wrong: [s]B is not of small order.
		if everyPath(t, bad) {
			t.Errorf("key %x signature %x is accepted", bad.Pub, bad.Sig)
		}
	}
	if strict != 12 {
		t.Errorf("%d cases pass strict rules, want the 12 that the standard library accepts", strict)
	}
	if all, each := VerifyBatch(items); !all || len(each) != len(items) {
		t.Error("the whole set is refused as a batch")
	}
}

// rfc8032 is RFC 8032 section 7.1, tests 1 to 3.
var rfc8032 = []struct{ seed, pub, msg, sig string }{
	{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
}

func TestRFC8032(t *testing.T) {
	for _, v := range rfc8032 {
		it := Item{unhex(t, v.pub), unhex(t, v.msg), unhex(t, v.sig)}
		if !everyPath(t, it) || !VerifyStrict(it.Pub, it.Msg, it.Sig) {
			t.Errorf("key %s: refused", v.pub)
		}
		if err := CheckPublicKey(it.Pub); err != nil {
			t.Errorf("key %s: %v", v.pub, err)
		}
		if sig := ed25519.Sign(ed25519.NewKeyFromSeed(unhex(t, v.seed)), it.Msg); !bytes.Equal(sig, it.Sig) {
			t.Errorf("key %s signs %x", v.pub, sig)
		}
	}
}

// TestWycheproof: its cases are about malleability and encodings on which ZIP-215 and RFC 8032 agree.
func TestWycheproof(t *testing.T) {
	data, err := os.ReadFile("testdata/wycheproof.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases [][5]string // public key, message, signature, result, comment
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 145 {
		t.Fatalf("%d cases, want 145", len(cases))
	}
	for i, c := range cases {
		it := Item{unhex(t, c[0]), unhex(t, c[1]), unhex(t, c[2])}
		want := c[3] == "valid"
		if got := everyPath(t, it); got != want {
			t.Errorf("case %d (%s): %v, want %v", i+1, c[4], got, want)
		}
		if got := VerifyStrict(it.Pub, it.Msg, it.Sig); got != want {
			t.Errorf("case %d (%s): strictly %v, want %v", i+1, c[4], got, want)
		}
	}
}

func TestVerifyLengths(t *testing.T) {
	good := Item{unhex(t, rfc8032[1].pub), unhex(t, rfc8032[1].msg), unhex(t, rfc8032[1].sig)}
	for _, n := range []int{0, 1, 31, 33, 63, 64, 65, 128} {
		if n != 32 && everyPath(t, Item{bytes.Repeat(good.Pub, 4)[:n], good.Msg, good.Sig}) {
			t.Errorf("a key of %d bytes is accepted", n)
		}
		if n != 64 && everyPath(t, Item{good.Pub, good.Msg, bytes.Repeat(good.Sig, 2)[:n]}) {
			t.Errorf("a signature of %d bytes is accepted", n)
		}
	}
	if all, each := VerifyBatch(nil); all || len(each) != 0 {
		t.Error("an empty batch is valid")
	}
}

// TestBatchNamesTheBad mixes every kind of bad item into a good batch of a size on both sides of the library's thresholds.
func TestBatchNamesTheBad(t *testing.T) {
	for _, n := range []int{3, 64, 300} {
		var items []Item
		for i := range n {
			v := rfc8032[i%len(rfc8032)]
			items = append(items, Item{unhex(t, v.pub), unhex(t, v.msg), unhex(t, v.sig)})
		}
		if all, _ := VerifyBatch(items); !all {
			t.Fatalf("a good batch of %d is refused", n)
		}
		for name, spoil := range map[string]func(*Item){
			"message": func(it *Item) { it.Msg = []byte("other") }, "no key": func(it *Item) { it.Pub = nil }, "short signature": func(it *Item) { it.Sig = it.Sig[:63] },
			"no point": func(it *Item) { it.Pub = append([]byte{2}, make([]byte, 31)...) }, "R": func(it *Item) { it.Sig = append([]byte{it.Sig[0] ^ 1}, it.Sig[1:]...) },
		} {
			spoilt := append([]Item{}, items...)
			bad := n / 2
			spoil(&spoilt[bad])
			all, each := VerifyBatch(spoilt)
			if all {
				t.Errorf("%s: a bad batch of %d is accepted", name, n)
			}
			for i, ok := range each {
				if ok == (i == bad) {
					t.Errorf("%s: item %d of %d is %v, the bad one is %d", name, i, n, ok, bad)
				}
			}
		}
	}
}
