package trust

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
)

func TestRotation(t *testing.T) {
	first := signAll(t, newRoot(t, 1, 2, signers(1, 2, 3)), nil, signers(1, 2))
	second := newRoot(t, 2, 1, signers(4, 5))
	chain := func(roots ...*Root) error {
		var files [][]byte
		for _, r := range roots {
			files = append(files, r.Bytes())
		}
		_, ours := VerifyChain(files)
		if theirs := judge(files); (ours == nil) != (theirs == nil) {
			t.Errorf("we say %v, go-tuf %v", ours, theirs)
		}
		return ours
	}
	onlyNew := signAll(t, second, first, signers(4))
	onlyOld := signAll(t, second, first, signers(1, 3))
	oneOld := signAll(t, second, first, signers(1, 4))
	for why, r := range map[string]*Root{"unsigned": second, "only the new keys": onlyNew, "only the old keys": onlyOld, "too few of the old": oneOld} {
		if err := chain(first, r); ipc.CodeOf(err) != ipc.Corrupt {
			t.Errorf("%s: %v", why, err)
		}
		if signingOf(r, first).Complete() {
			t.Errorf("%s: complete", why)
		}
	}
	both := signAll(t, onlyOld, first, signers(5))
	if err := chain(first, both); err != nil {
		t.Error(err)
	}
	for _, roots := range [][]*Root{nil, {second}, {first, onlyNew}} {
		if err := Judge(roots); ipc.CodeOf(err) != ipc.Corrupt {
			t.Errorf("judge of %d documents: %v", len(roots), err)
		}
	}
	if err := Judge([]*Root{first, both}); err != nil {
		t.Error(err)
	}
	if err := chain(first, first); err == nil {
		t.Error("version 1 follows version 1")
	}
	third := signAll(t, newRoot(t, 4, 1, signers(4)), both, signers(4))
	if err := chain(first, both, third); err == nil {
		t.Error("version 4 follows version 2")
	}
	if _, err := VerifyChain([][]byte{both.Bytes()}); err == nil {
		t.Error("a chain may begin with version 2")
	}
	if _, err := VerifyChain(nil); err == nil {
		t.Error("an empty chain is a chain")
	}
}

func TestSigningOf(t *testing.T) {
	first := signAll(t, newRoot(t, 1, 2, signers(1, 2, 3)), nil, signers(1))
	s := signingOf(first, nil)
	if s.Complete() || len(s.Own.Signed) != 1 || s.Own.Signed[0].ID != keyIDOf(signer(1)) || len(s.Own.Missing) != 2 || s.Previous != nil {
		t.Errorf("%+v", s)
	}
	data, err := withSignature(first.Bytes(), Signature{KeyID: keyIDOf(signer(2)), Sig: looseSignature(signer(2), first.Payload())})
	if err != nil {
		t.Fatal(err)
	}
	loose, err := ParseRoot(data)
	if err != nil {
		t.Fatal(err)
	}
	if s := signingOf(loose, nil); s.Complete() || len(s.Own.Faults) != 1 || !errors.Is(s.Own.Faults[0], ErrStrict) {
		t.Errorf("%+v", s)
	}
}

func TestAddSignatureRefuses(t *testing.T) {
	root := newRoot(t, 1, 1, signers(1, 2))
	good, _ := signer(1).Sign(t.Context(), root.Payload())
	for why, test := range map[string]struct {
		sig  Signature
		want ipc.Code
	}{
		"foreign key":   {Signature{keyIDOf(signer(3)), good}, ipc.PermissionDenied},
		"other's":       {Signature{keyIDOf(signer(2)), good}, ipc.BadRequest},
		"empty":         {Signature{keyIDOf(signer(1)), nil}, ipc.BadRequest},
		"short":         {Signature{keyIDOf(signer(1)), good[:63]}, ipc.BadRequest},
		"only ZIP-215":  {Signature{keyIDOf(signer(1)), looseSignature(signer(1), root.Payload())}, ipc.BadRequest},
		"other message": {Signature{keyIDOf(signer(1)), looseSignature(signer(1), []byte("x"))}, ipc.BadRequest},
	} {
		if _, err := addSignature(root, nil, test.sig); ipc.CodeOf(err) != test.want {
			t.Errorf("%s: %v", why, err)
		}
	}
	if !keys.Verify(signer(1).PublicKey(), root.Payload(), looseSignature(signer(1), root.Payload())) {
		t.Error("the loose signature should be valid under ZIP-215")
	}
}

type failingSigner struct{ testSigner }

var errDeclined = ipc.Errorf(ipc.NoKey, "declined")

func (failingSigner) Sign(context.Context, []byte) ([]byte, error) { return nil, errDeclined }

func TestSignRootRefuses(t *testing.T) {
	root := newRoot(t, 1, 1, signers(1))
	if _, err := SignRoot(t.Context(), signer(2), root, nil); !errors.Is(err, ipc.PermissionDenied) {
		t.Errorf("foreign key: %v", err)
	}
	if _, err := SignRoot(t.Context(), failingSigner{signer(1)}, root, nil); !errors.Is(err, ipc.NoKey) {
		t.Errorf("declined: %v", err)
	}
}

// TestSignsCanonicalBytes: what goes to the agent begins like TUF metadata and like nothing else (trust.md section 7).
func TestSignsCanonicalBytes(t *testing.T) {
	root := newRoot(t, 1, 1, signers(1))
	if !strings.HasPrefix(string(root.Payload()), `{"_type":"root",`) {
		t.Errorf("payload begins %.40s", root.Payload())
	}
}
