package project

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/ipc"
)

// pushed is a repository after three pushes of one peer.
func pushed(t testing.TB) (f fixture, refs map[string]OID, tips []OID) {
	f = newFixture(t, 1, signer(1))
	one := f.commit("one")
	two := f.commit("two", one)
	refs = map[string]OID{"refs/heads/main": one}
	tips = append(tips, f.push(signer(1), refs))
	refs = map[string]OID{"refs/heads/main": two, "refs/tags/v1": one, "refs/heads/dev": one}
	tips = append(tips, f.push(signer(1), refs))
	refs = maps.Clone(refs)
	delete(refs, "refs/heads/dev")
	refs["refs/cobs/x"] = two
	tips = append(tips, f.push(signer(1), refs))
	return f, refs, tips
}

func TestVerify(t *testing.T) {
	f, refs, tips := pushed(t)
	f.fsck()
	report := f.verify(signer(1))
	if report.Err() != nil || report.Verified != 3 || report.Seq != 3 || report.Tip != tips[2] || report.Refs != len(refs) || report.Identity.Name != "demo" {
		t.Errorf("%+v", report)
	}
	if got, err := f.Refs(t.Context(), signer(1).id()); err != nil || !maps.Equal(got, refs) {
		t.Errorf("refs %v, %v", got, err)
	}
	if peers, err := f.Peers(t.Context()); err != nil || len(peers) != 1 || peers[0] != signer(1).id() {
		t.Errorf("peers %v, %v", peers, err)
	}
	s, tip, err := f.SignedRefs(t.Context(), signer(1).id())
	if err != nil || tip != tips[2] || s.Seq != 3 || s.Parent != tips[1] || !maps.Equal(s.Refs, refs) {
		t.Errorf("%+v, %s, %v", s, tip, err)
	}
	if _, _, err := f.SignedRefs(t.Context(), signer(2).id()); !errors.Is(err, ipc.NotFound) {
		t.Errorf("a peer without: %v", err)
	}
}

// TestVerifyPacked: everything is read just as well after git has packed objects and refs.
func TestVerifyPacked(t *testing.T) {
	f, refs, _ := pushed(t)
	f.git("pack-refs", "--all")
	f.git("repack", "-adq")
	f.git("prune-packed")
	if loose, err := filepath.Glob(filepath.Join(f.objects(), "??", "*")); err != nil || len(loose) != 0 {
		t.Fatalf("%d loose objects, %v", len(loose), err)
	}
	report := f.verify(signer(1))
	if report.Err() != nil || report.Verified != 3 || report.Refs != len(refs) {
		t.Errorf("%+v", report)
	}
	f.push(signer(1), refs)
	if report := f.verify(signer(1)); report.Err() != nil || report.Verified != 4 {
		t.Errorf("%+v", report)
	}
}

// TestWriteHealsEmptyObject: what a crash of the machine left does not stand in the way of writing it again.
func TestWriteHealsEmptyObject(t *testing.T) {
	f, _, tips := pushed(t)
	s, err := f.SignedRefsAt(t.Context(), signer(1).id(), tips[1])
	if err != nil {
		t.Fatal(err)
	}
	f.removeObject(tips[1].String())
	mustWrite(t, f.objectPath(tips[1].String()), "")
	if _, err := f.WriteSignedRefs(t.Context(), s, day); err != nil {
		t.Fatal(err)
	}
	f.fsck()
}

// TestWriteIsDeterministic: the same content at the same date is the same commit, and writing it twice is no error.
func TestWriteIsDeterministic(t *testing.T) {
	f, _, tips := pushed(t)
	s, err := f.SignedRefsAt(t.Context(), signer(1).id(), tips[1])
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.WriteSignedRefs(t.Context(), s, day)
	if err != nil || again != tips[1] {
		t.Errorf("%s, %v; want %s", again, err, tips[1])
	}
	want := "tree " + f.git("rev-parse", tips[1].String()+"^{tree}") + "\nparent " + tips[0].String() +
		"\nauthor " + string(s.Peer) + " <" + string(s.Peer) + "> 1791201600 +0000\ncommitter " + string(s.Peer) + " <" + string(s.Peer) + "> 1791201600 +0000\n\nsigned refs 2"
	if got := f.git("cat-file", "commit", tips[1].String()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	other := Repository{URN: NewURN(OID{5}), Dir: f.Dir}
	if _, err := other.WriteSignedRefs(t.Context(), s, day); !errors.Is(err, ipc.BadRequest) {
		t.Errorf("into another project: %v", err)
	}
	if _, err := f.WriteSignedRefs(t.Context(), Signed{SignedRefs: s.SignedRefs}, day); !errors.Is(err, ipc.BadRequest) {
		t.Errorf("unsigned: %v", err)
	}
}

// TestTampering changes one thing each time; the report must name that part.
func TestTampering(t *testing.T) {
	me := signer(1)
	tests := map[string]struct {
		tamper func(t *testing.T, f fixture, tips []OID)
		part   string
		says   string
	}{
		"moved ref": {func(_ *testing.T, f fixture, _ []OID) {
			f.git("update-ref", Namespace(me.id())+"refs/heads/main", f.commit("evil").String())
		}, PartRefs, "refs/heads/main is signed at"},
		"missing ref": {func(_ *testing.T, f fixture, _ []OID) { f.git("update-ref", "-d", Namespace(me.id())+"refs/tags/v1") }, PartRefs, "refs/tags/v1 is signed at"},
		"additional ref": {func(_ *testing.T, f fixture, _ []OID) {
			f.git("update-ref", Namespace(me.id())+"refs/heads/more", f.commit("evil").String())
		}, PartRefs, "refs/heads/more is here"},
		"no signed refs": {func(_ *testing.T, f fixture, _ []OID) { f.git("update-ref", "-d", SignedRefsRef(me.id())) }, PartSigned, "has no signed refs"},
		"rolled back": {func(_ *testing.T, f fixture, tips []OID) {
			f.git("update-ref", SignedRefsRef(me.id()), tips[0].String())
		}, PartRefs, "refs/heads/main is signed at"},
		"another commit": {func(_ *testing.T, f fixture, _ []OID) {
			f.git("update-ref", SignedRefsRef(me.id()), f.commit("x").String())
		}, PartSigned, "its tree is not refs and signature"},
		"a blob": {func(_ *testing.T, f fixture, tips []OID) {
			f.mustRefFile(me, f.git("rev-parse", tips[2].String()+":refs"))
		}, PartSigned, "is a blob"},
		"symbolic": {func(_ *testing.T, f fixture, _ []OID) { f.mustRefFile(me, "ref: refs/rad/id") }, PartSigned, "is symbolic"},
		"missing object": {func(_ *testing.T, f fixture, tips []OID) {
			f.removeObject(f.git("rev-parse", tips[1].String()+":signature"))
		}, PartSigned, "is missing"},
		"garbled object": {func(t *testing.T, f fixture, tips []OID) { f.garble(f.git("rev-parse", tips[0].String()+":refs")) }, PartSigned, "object"},
		"changed refs": {func(t *testing.T, f fixture, tips []OID) {
			f.forge(t, tips[2], func(data []byte) { data[len(data)-30] ^= 1 }, nil)
		}, PartSigned, "signature of " + string(me.id())},
		"other signature":  {func(t *testing.T, f fixture, tips []OID) { f.forge(t, tips[2], nil, f.file(tips[1], "signature")) }, PartSigned, "signature of " + string(me.id())},
		"grafted parent":   {func(t *testing.T, f fixture, tips []OID) { f.graft(t, tips[2], tips[0]) }, PartSigned, "its parents are"},
		"parents cut off":  {func(t *testing.T, f fixture, tips []OID) { f.graft(t, tips[2]) }, PartSigned, "its parents are"},
		"two parents":      {func(t *testing.T, f fixture, tips []OID) { f.graft(t, tips[2], tips[1], tips[0]) }, PartSigned, "its parents are"},
		"number left out":  {func(_ *testing.T, f fixture, tips []OID) { f.resign(me, func(s *SignedRefs) { s.Seq++ }) }, PartSequence, "number 5 follows number 3"},
		"unknown identity": {func(_ *testing.T, f fixture, _ []OID) { f.resign(me, func(s *SignedRefs) { s.Identity = OID{9} }) }, PartIdentity, "not in the chain"},
		"no identity":      {func(_ *testing.T, f fixture, _ []OID) { f.git("update-ref", "-d", IdentityRef) }, PartIdentity, "has no refs/rad/id"},
		"identity bytes":   {func(t *testing.T, f fixture, _ []OID) { f.garble(f.URN.ID().String()) }, PartIdentity, "object"},
		"other identity": {func(t *testing.T, f fixture, _ []OID) {
			other, err := f.WriteIdentity(t.Context(), newTestIdentity(t, 1, signer(7)), OID{}, day)
			if err != nil {
				t.Fatal(err)
			}
			f.git("update-ref", IdentityRef, other.String())
		}, PartIdentity, "identity of another project"},
		"another's chain": {func(t *testing.T, f fixture, _ []OID) {
			f.push(signer(2), nil)
			f.git("update-ref", SignedRefsRef(me.id()), f.git("rev-parse", SignedRefsRef(signer(2).id())))
		}, PartSigned, "signed refs of peer"},
		"another project's": {func(t *testing.T, f fixture, _ []OID) {
			s := SignedRefs{URN: NewURN(OID{3}), Peer: me.id(), Seq: 1, Identity: OID{3}}
			other := fixture{t, Repository{URN: s.URN, Dir: f.Dir}, f.identity}
			f.git("update-ref", SignedRefsRef(me.id()), other.write(me, s).String())
		}, PartSigned, "signed refs of project"},
	}
	for why, test := range tests {
		t.Run(why, func(t *testing.T) {
			f, _, tips := pushed(t)
			test.tamper(t, f, tips)
			report := f.verify(me)
			found := false
			for _, fault := range report.Faults {
				found = found || fault.Part == test.part && strings.Contains(fault.Message, test.says)
			}
			if !found || !errors.Is(report.Err(), ipc.Corrupt) {
				t.Errorf("faults: %+v", report.Faults)
			}
		})
	}
}

func (f fixture) mustRefFile(s testSigner, content string) {
	mustWrite(f, filepath.Join(f.Dir, SignedRefsRef(s.id())), content+"\n")
}

func (f fixture) objectPath(hex string) string { return filepath.Join(f.objects(), hex[:2], hex[2:]) }

func (f fixture) removeObject(hex string) {
	if err := os.Remove(f.objectPath(hex)); err != nil {
		f.Fatal(err)
	}
}

// garble replaces an object's file by that of another object.
func (f fixture) garble(hex string) {
	other, err := os.ReadFile(f.objectPath(f.git("rev-parse", IdentityRef+"^{tree}")))
	if err != nil {
		f.Fatal(err)
	}
	f.removeObject(hex)
	mustWrite(f, f.objectPath(hex), string(other))
}

func (f fixture) file(at OID, name string) []byte {
	objects := f.reader(f.Context())
	defer objects.Close()
	files, _, err := objects.files(at)
	if err != nil {
		f.Fatal(err)
	}
	data, err := objects.read(files[name], kindBlob)
	if err != nil {
		f.Fatal(err)
	}
	return data
}

// forge makes the newest signed refs a commit like at with other refs or another signature.
func (f fixture) forge(t *testing.T, at OID, change func([]byte), signature []byte) {
	data := f.file(at, refsFile)
	if change != nil {
		change(data)
	}
	if signature == nil {
		signature = f.file(at, signatureFile)
	}
	s, err := f.SignedRefsAt(t.Context(), signer(1).id(), at)
	if err != nil {
		t.Fatal(err)
	}
	s.data, s.signature = data, signature
	oid, err := f.WriteSignedRefs(t.Context(), s, day)
	if err != nil {
		t.Fatal(err)
	}
	f.git("update-ref", SignedRefsRef(signer(1).id()), oid.String())
}

// graft gives the newest signed refs other parents.
func (f fixture) graft(t *testing.T, at OID, parents ...OID) {
	tree, err := ParseOID(f.git("rev-parse", at.String()+"^{tree}"))
	if err != nil {
		t.Fatal(err)
	}
	c := commit{tree: tree, parents: parents, author: "x", at: day, message: "graft"}
	oid, err := looseObjects{f.objects()}.write(kindCommit, c.encode())
	if err != nil {
		t.Fatal(err)
	}
	f.git("update-ref", SignedRefsRef(signer(1).id()), oid.String())
}

// resign has the peer itself sign something that does not follow.
func (f fixture) resign(s testSigner, change func(*SignedRefs)) {
	last, tip, err := f.Repository.SignedRefs(f.Context(), s.id())
	if err != nil {
		f.Fatal(err)
	}
	next := last.Next(tip, last.Refs, last.Identity)
	change(&next)
	f.git("update-ref", SignedRefsRef(s.id()), f.write(s, next).String())
}

func FuzzReadLoose(f *testing.F) {
	f.Add([]byte("x\x9c\x01\x00\x00\xff\xff"))
	f.Add([]byte(nil))
	f.Add([]byte("blob 3\x00abc"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if content, err := checkObject(hashObject(kindBlob, data), kindBlob, data); err == nil {
			t.Errorf("%q is a blob with content %q", data, content)
		}
		if _, err := decodeFiles(data); err == nil && len(data) > 0 && len(data) < 20 {
			t.Errorf("%q is a tree", data)
		}
		if tree, _, err := decodeCommit(data); err == nil && !strings.HasPrefix(string(data), "tree "+tree.String()) {
			t.Errorf("%q is a commit", data)
		}
	})
}
