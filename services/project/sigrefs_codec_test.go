package project

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

func sampleRefs() SignedRefs {
	return SignedRefs{
		URN: NewURN(OID{0xaa}), Peer: signer(1).id(), Seq: 2, Parent: OID{1}, Identity: OID{0xaa},
		Refs: map[string]OID{"refs/heads/main": {2}, "refs/heads/dev": {3}, "refs/tags/v1": {4}},
	}
}

// TestSignedRefsBytes pins the format: what is signed today must be readable for ever.
func TestSignedRefsBytes(t *testing.T) {
	data, err := sampleRefs().Encode()
	if err != nil {
		t.Fatal(err)
	}
	oid := func(first string) string { return "54" + first + strings.Repeat("00", 19) }
	text := func(s string) string { return hex.EncodeToString([]byte(s)) }
	want := "a8" + "00" + "6d" + text("lnk-sigrefs/1") +
		"01" + fmt.Sprintf("78%02x", len(sampleRefs().URN)) + text(string(sampleRefs().URN)) +
		"02" + "7830" + text(string(sampleRefs().Peer)) +
		"03" + "02" + "04" + oid("01") + "05" + "64" + text("sha1") +
		"06" + "a3" + "6c" + text("refs/tags/v1") + oid("04") + "6e" + text("refs/heads/dev") + oid("03") + "6f" + text("refs/heads/main") + oid("02") +
		"07" + oid("aa")
	if got := hex.EncodeToString(data); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	first := sampleRefs()
	first.Seq, first.Parent = 1, OID{}
	if data, err := first.Encode(); err != nil || !bytes.Contains(data, []byte{3, 1, 4, 0xf6, 5}) {
		t.Errorf("the first has %x, %v; want null for a parent", data, err)
	}
}

func TestSignedRefsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := genOID.Filter(func(o OID) bool { return !o.IsZero() })
		s := SignedRefs{
			URN: NewURN(genOID.Draw(t, "urn")), Peer: signer(rapid.Byte().Draw(t, "peer")).id(),
			Seq: rapid.Uint64Min(1).Draw(t, "seq"), Identity: some.Draw(t, "identity"), Refs: genRefs.Draw(t, "refs"),
		}
		if s.Seq > 1 {
			s.Parent = some.Draw(t, "parent")
		}
		data, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeSignedRefs(data)
		if err != nil || !maps.Equal(s.Refs, again.Refs) {
			t.Fatalf("%v became %v, %v", s, again, err)
		}
		s.Refs, again.Refs = nil, nil
		if fmt.Sprint(s) != fmt.Sprint(again) {
			t.Fatalf("%v became %v", s, again)
		}
	})
}

func TestSignedRefsRefused(t *testing.T) {
	wire := func(change func(*signedRefsWire)) []byte {
		parent, identity := make([]byte, 20), make([]byte, 20)
		parent[0], identity[0] = 1, 1
		w := signedRefsWire{
			Kind: signedRefsKind, URN: string(NewURN(OID{1})), Peer: string(signer(1).id()), Seq: 2, Parent: &parent,
			Format: objectFormat, Refs: map[string][]byte{"refs/heads/main": identity}, Identity: identity,
		}
		change(&w)
		data, err := ipc.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := wire(func(*signedRefsWire) {})
	if _, err := DecodeSignedRefs(good); err != nil {
		t.Fatal(err)
	}
	long, zero := make([]byte, 32), make([]byte, 20)
	for why, data := range map[string][]byte{
		"nothing": nil, "text": []byte("refs"), "trailing byte": append(bytes.Clone(good), 0), "cut off": good[:len(good)-1],
		"too large":          make([]byte, MaxSignedRefs+1),
		"other kind":         wire(func(w *signedRefsWire) { w.Kind = "lnk-sigrefs/2" }),
		"no URN":             wire(func(w *signedRefsWire) { w.URN = "" }),
		"URN without prefix": wire(func(w *signedRefsWire) { w.URN = w.URN[4:] }),
		"no peer":            wire(func(w *signedRefsWire) { w.Peer = "" }),
		"peer as did":        wire(func(w *signedRefsWire) { w.Peer = signer(1).id().DID() }),
		"sequence 0":         wire(func(w *signedRefsWire) { w.Seq = 0 }),
		"first with parent":  wire(func(w *signedRefsWire) { w.Seq = 1 }),
		"no parent":          wire(func(w *signedRefsWire) { w.Parent = nil }),
		"zero parent":        wire(func(w *signedRefsWire) { w.Parent = &zero }),
		"long parent":        wire(func(w *signedRefsWire) { w.Parent = &long }),
		"SHA-256":            wire(func(w *signedRefsWire) { w.Format = "sha256" }),
		"long oid":           wire(func(w *signedRefsWire) { w.Refs["refs/heads/x"] = long }),
		"zero oid":           wire(func(w *signedRefsWire) { w.Refs["refs/heads/x"] = zero }),
		"ref outside":        wire(func(w *signedRefsWire) { w.Refs["refs/rad/sigrefs"] = w.Identity }),
		"ref traversal":      wire(func(w *signedRefsWire) { w.Refs["refs/heads/../../x"] = w.Identity }),
		"no identity":        wire(func(w *signedRefsWire) { w.Identity = zero }),
	} {
		if s, err := DecodeSignedRefs(data); !errors.Is(err, ipc.Corrupt) {
			t.Errorf("%s: %v, %v", why, s, err)
		}
	}
	for why, change := range map[string]func(*SignedRefs){
		"bad URN":      func(s *SignedRefs) { s.URN = "rad:x" },
		"bad ref":      func(s *SignedRefs) { s.Refs["HEAD"] = OID{1} },
		"zero oid":     func(s *SignedRefs) { s.Refs["refs/heads/x"] = OID{} },
		"seq 0":        func(s *SignedRefs) { s.Seq = 0 },
		"not UTF-8":    func(s *SignedRefs) { s.Refs["refs/heads/\xff"] = OID{1} },
		"empty peer":   func(s *SignedRefs) { s.Peer = "" },
		"no identity":  func(s *SignedRefs) { s.Identity = OID{} },
		"first parent": func(s *SignedRefs) { s.Seq = 1 },
	} {
		s := sampleRefs()
		change(&s)
		if _, err := s.Encode(); err == nil {
			t.Errorf("%s: encoded", why)
		}
	}
}

func TestSignAndVerify(t *testing.T) {
	s := sampleRefs()
	if _, err := s.Sign(t.Context(), signer(2)); !errors.Is(err, ipc.PermissionDenied) {
		t.Errorf("signed with another's key: %v", err)
	}
	signed, err := s.Sign(t.Context(), signer(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifySignedRefs(signed.Data(), signed.Signature()); err != nil {
		t.Error(err)
	}
	other := sampleRefs()
	other.Seq++
	otherSigned, err := other.Sign(t.Context(), signer(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifySignedRefs(signed.Data(), otherSigned.Signature()); !errors.Is(err, ipc.Corrupt) {
		t.Errorf("the signature over other refs: %v", err)
	}
	if _, err := VerifySignedRefs(signed.Data(), nil); !errors.Is(err, ipc.Corrupt) {
		t.Errorf("no signature: %v", err)
	}
}

// TestSSHKeygenAccepts: whoever has OpenSSH can check our signed refs.
func TestSSHKeygenAccepts(t *testing.T) {
	signed, err := sampleRefs().Sign(t.Context(), signer(1))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "signature"), string(signed.Signature()))
	mustWrite(t, filepath.Join(dir, "allowed"), fmt.Sprintf("%s namespaces=%q %s\n", signed.Peer, SignedRefsNamespace, signed.Peer.SSHKey()))
	check := func(namespace string, data []byte) error {
		cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", filepath.Join(dir, "allowed"), "-I", string(signed.Peer), "-n", namespace, "-s", filepath.Join(dir, "signature"))
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := check(SignedRefsNamespace, signed.Data()); err != nil {
		t.Error(err)
	}
	if check("git", signed.Data()) == nil || check(SignedRefsNamespace, append(signed.Data(), 0)) == nil {
		t.Error("ssh-keygen accepts anything")
	}
}

func FuzzDecodeSignedRefs(f *testing.F) {
	for _, refs := range []map[string]OID{nil, sampleRefs().Refs} {
		s := sampleRefs()
		s.Refs = refs
		data, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeSignedRefs(data)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("%d bytes of message", len(err.Error()))
			}
			return
		}
		if again, err := s.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x became %x, %v", data, again, err)
		}
		if _, err := peer.Parse(string(s.Peer)); err != nil || s.URN.ID().IsZero() != (s.URN == NewURN(OID{})) {
			t.Errorf("accepted %+v", s)
		}
	})
}

// TestCheckRefAgreesWithGit: what we take, git takes.
func TestCheckRefAgreesWithGit(t *testing.T) {
	genName := rapid.StringOfN(rapid.RuneFrom([]rune("ab./@{-~^:?*[\\ ü\x01")), 1, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		ref := "refs/heads/" + genName.Draw(t, "name")
		git := exec.Command("git", "check-ref-format", ref)
		git.Env = append(os.Environ(), gitEnv()...)
		if ours, theirs := CheckRef(ref), git.Run(); (ours == nil) != (theirs == nil) {
			t.Fatalf("%q: we say %v, git %v", ref, ours, theirs)
		}
	})
}
