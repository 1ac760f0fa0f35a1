package trust

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lnk-suite/lnk/ipc"
)

var now = expires.AddDate(-1, 0, 0)

// refused demands that a step was refused for that reason, with that code.
func refused(t *testing.T, what string, err, why error, code ipc.Code) {
	t.Helper()
	if !errors.Is(err, why) || ipc.CodeOf(err) != code {
		t.Errorf("%s: %v (code %v), want %v (code %v)", what, err, ipc.CodeOf(err), why, code)
	}
}

func mustAdd(t *testing.T, p Process, by testSigner) Process {
	t.Helper()
	next, key, err := p.Add(signatureBy(t, p, by), p.Digest())
	if err != nil || string(key.Public) != string(by.PublicKey()) {
		t.Fatalf("signature by %s: %v", key.ID, err)
	}
	return next
}

func signatureBy(t testing.TB, p Process, by testSigner) Signature {
	t.Helper()
	sig, err := by.Sign(t.Context(), p.Document().Payload())
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewKey(by.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return Signature{KeyID: key.ID, Sig: sig}
}

// TestProcess goes once through everything: a first root, its rotation to other keys, an override and a cancel.
func TestProcess(t *testing.T) {
	idle := RootProcess(nil, nil)
	if idle.Document() != nil || idle.Digest() != "" || idle.Complete() || idle.Next() != 1 || len(idle.Signers()) != 0 {
		t.Errorf("idle: %+v", idle)
	}
	first := signAll(t, newRoot(t, 1, 2, signers(1, 2)), nil, signers(1))
	p, err := idle.Propose(first, now)
	if err != nil || p.Complete() {
		t.Fatal(p.Complete(), err)
	}
	_, err = p.Finish(now)
	refused(t, "too early", err, ErrIncomplete, ipc.Conflict)
	p = mustAdd(t, p, signer(2))
	done, err := p.Finish(now)
	if err != nil || verifyFirst(done.(*Root)) != nil {
		t.Fatal(err)
	}
	_, err = p.Finish(expires)
	refused(t, "too late", err, ErrExpired, ipc.BadRequest)

	root := done.(*Root)
	p, err = RootProcess(root, nil).Propose(signAll(t, newRoot(t, 2, 1, signers(3)), root, signers(3)), now)
	if err != nil || p.Complete() {
		t.Fatal("the new keys alone rotate a root", err)
	}
	for i, want := range []Signer{{Old: true}, {Old: true}, {New: true, Signed: true}} {
		if s := p.Signers()[i]; s.Old != want.Old || s.New != want.New || s.Signed != want.Signed {
			t.Errorf("signer %d is %+v", i, s)
		}
	}
	seen := p.Digest()
	p, err = p.Override(signAll(t, newRoot(t, 2, 2, signers(2, 3)), root, signers(2)), seen, now)
	if err != nil || len(p.Document().Signatures()) != 1 || p.Digest() == seen {
		t.Fatal("the override kept signatures or content", err)
	}
	p = mustAdd(t, mustAdd(t, p, signer(1)), signer(3))
	if done, err = p.Finish(now); err != nil || verifyNext(root, done.(*Root)) != nil {
		t.Fatal(err)
	}
	if p, err = p.Cancel(p.Digest()); err != nil || p.Document() != nil {
		t.Error(err)
	}
}

func TestProcessRefuses(t *testing.T) {
	root := signAll(t, newRoot(t, 1, 1, signers(1, 2)), nil, signers(1))
	idle := RootProcess(root, nil)
	unsigned := newRoot(t, 2, 2, signers(1, 2))
	forged := signAll(t, unsigned, nil, signers(1, 2))
	data, err := withSignature(forged.Bytes(), Signature{KeyID: forged.Signatures()[0].KeyID, Sig: make([]byte, 64)})
	if err != nil {
		t.Fatal(err)
	}
	if forged, err = ParseRoot(data); err != nil {
		t.Fatal(err)
	}
	later := signAll(t, newRoot(t, 3, 1, signers(1)), nil, signers(1))
	good := signAll(t, unsigned, nil, signers(1))
	other := signAll(t, newRoot(t, 2, 1, signers(1, 2)), nil, signers(1))
	propose := func(r *Root, at time.Time) error { _, err := idle.Propose(r, at); return err }
	refused(t, "unsigned", propose(unsigned, now), ErrUnsigned, ipc.BadRequest)
	refused(t, "forged", propose(forged, now), ErrInvalid, ipc.BadRequest)
	refused(t, "version", propose(later, now), ErrVersion, ipc.BadRequest)
	refused(t, "expired", propose(good, expires), ErrExpired, ipc.BadRequest)

	_, _, err = idle.Add(good.Signatures()[0], "")
	refused(t, "signature for nothing", err, ErrIdle, ipc.NotFound)
	_, err = idle.Override(good, "", now)
	refused(t, "override of nothing", err, ErrIdle, ipc.NotFound)
	_, err = idle.Cancel("")
	refused(t, "cancel of nothing", err, ErrIdle, ipc.NotFound)
	_, err = idle.Finish(now)
	refused(t, "finish of nothing", err, ErrIdle, ipc.NotFound)

	p, err := idle.Propose(good, now)
	if err != nil {
		t.Fatal(err)
	}
	override := func(r *Root, match string) error { _, err := p.Override(r, match, now); return err }
	_, err = p.Propose(other, now)
	refused(t, "a second proposal", err, ErrPending, ipc.Conflict)
	refused(t, "the same again", override(signAll(t, unsigned, nil, signers(2)), ""), ErrUnchanged, ipc.AlreadyExists)
	refused(t, "another digest", override(other, DigestOf(other)), ErrReplaced, ipc.Conflict)
	refused(t, "unsigned override", override(newRoot(t, 2, 1, signers(1, 2)), ""), ErrUnsigned, ipc.BadRequest)
	refused(t, "override by another version", override(later, ""), ErrVersion, ipc.BadRequest)
	_, err = p.Cancel(DigestOf(other))
	refused(t, "cancel of what is gone", err, ErrReplaced, ipc.Conflict)
	_, _, err = p.Add(signatureBy(t, p, signer(2)), DigestOf(other))
	refused(t, "signature for what is gone", err, ErrReplaced, ipc.Conflict)
	if _, _, err = p.Add(signatureBy(t, p, signer(9)), ""); ipc.CodeOf(err) != ipc.PermissionDenied {
		t.Errorf("a stranger signs: %v", err)
	}
	if _, _, err = p.Add(other.Signatures()[0], ""); ipc.CodeOf(err) != ipc.BadRequest {
		t.Errorf("a signature over something else: %v", err)
	}
}

func TestProcessOfTargets(t *testing.T) {
	doc, err := NewTargets(TargetsSpec{Version: 4, Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	p := TargetsProcess(roleOf(t, 2, signers(1, 2, 3)), doc)
	p = mustAdd(t, mustAdd(t, p, signer(3)), signer(3))
	if p.Complete() {
		t.Error("one key counts twice")
	}
	p = mustAdd(t, p, signer(1))
	if done, err := p.Finish(now); err != nil || done.Version() != 4 {
		t.Error(err)
	}
}

// TestProcessAtRandom: whatever is tried in whatever order, a root that comes out is one that its predecessor's quorum and
// its own have signed, what is pending carries nothing but good signatures, and steps that are refused change nothing.
func TestProcessAtRandom(t *testing.T) {
	root := signAll(t, newRoot(t, 1, 2, signers(1, 2, 3)), nil, signers(1, 2))
	drafts := []*Root{newRoot(t, 2, 1, signers(4)), newRoot(t, 2, 2, signers(1, 4, 5)), newRoot(t, 2, 3, signers(1, 2, 3)), newRoot(t, 3, 1, signers(1))}
	rapid.Check(t, func(rt *rapid.T) {
		p := RootProcess(root, nil)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			before := p.Digest()
			who := signer(byte(rapid.IntRange(1, 6).Draw(rt, "who")))
			draft := rapid.SampledFrom(drafts).Draw(rt, "draft")
			signed := draft
			if s, err := SignRoot(t.Context(), who, draft, root); err == nil {
				signed = s
			}
			next, err := p, error(nil)
			switch step := rapid.IntRange(0, 7).Draw(rt, "step"); {
			case step == 0:
				next, err = p.Cancel("")
			case step == 1:
				next, err = p.Override(signed, p.Digest(), now)
			case step < 4:
				next, err = p.Propose(signed, now)
			default:
				sig := Signature{KeyID: roleOf(t, 1, []testSigner{who}).Keys[0].ID, Sig: make([]byte, 64)}
				if p.Document() != nil && step < 7 {
					sig = signatureBy(t, p, who)
				}
				next, _, err = p.Add(sig, "")
			}
			if p.Digest() != before {
				rt.Fatal("a step has changed the process that it began with")
			}
			if err == nil {
				p = next
			}
			if err := sound(p, root); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func sound(p Process, root *Root) error {
	if p.Document() == nil {
		return nil
	}
	progress := p.Progress()
	for _, s := range p.Document().Signatures() {
		if !slices.ContainsFunc(slices.Concat(progress.Own.Signed, progress.Previous.Signed), func(k Key) bool { return k.ID == s.KeyID }) {
			return errors.New("a signature that counts for nobody is pending")
		}
	}
	if p.Document().Version() != 2 || len(p.Document().Signatures()) == 0 {
		return errors.New("something is pending that nobody has signed, or that does not follow")
	}
	done, err := p.Finish(now)
	if err != nil {
		return nil
	}
	return judge([][]byte{root.Bytes(), done.Bytes()})
}
