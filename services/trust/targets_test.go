package trust

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/lnk-suite/lnk/ipc"
)

const sum = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"

func target(custom string) Target {
	t := Target{Length: 3, Hashes: map[string]string{"sha256": sum}}
	if custom != "" {
		t.Custom = json.RawMessage(custom)
	}
	return t
}

func mustSign(t testing.TB, f *File, role Role, who ...testSigner) *File {
	t.Helper()
	for _, s := range who {
		var err error
		if f, err = f.Sign(t.Context(), s, role); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// published makes a whole repository with one bin that is not empty.
func published(t testing.TB, bits int) (*Root, Publication) {
	t.Helper()
	root := signAll(t, newRoot(t, 1, 1, signers(1)), nil, signers(1))
	role := root.Role(RoleTimestamp)
	bins := &Bins{Role: role, Prefix: "bins", Bits: bits}
	top, err := NewTargets(TargetsSpec{Version: 1, Expires: expires, Bins: bins})
	if err != nil {
		t.Fatal(err)
	}
	name := bins.Name(bins.For("a/b"))
	bin, err := NewTargets(TargetsSpec{Version: 7, Expires: expires, Targets: map[string]Target{"a/b": target(`{"x": [1, "é"]}`)}})
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]int64{RoleTargets: 1}
	for i := range bins.Count() {
		versions[bins.Name(i)] = 1
	}
	versions[name] = 7
	snapshot, err := NewSnapshot(SnapshotSpec{Version: 4, Expires: expires, Versions: versions})
	if err != nil {
		t.Fatal(err)
	}
	timestamp, err := NewTimestamp(TimestampSpec{Version: 9, Expires: expires, Snapshot: 4})
	if err != nil {
		t.Fatal(err)
	}
	return root, Publication{
		Timestamp: mustSign(t, timestamp, role, signer(1)).Bytes(),
		Snapshot:  mustSign(t, snapshot, role, signer(1)).Bytes(), Targets: mustSign(t, top.File, role, signer(1)).Bytes(),
		Delegated: maps.All(map[string][]byte{name: mustSign(t, bin.File, role, signer(1)).Bytes()}),
	}
}

// TestNullCustom: null is no custom data, as go-tuf has it, and not part of what is signed.
func TestNullCustom(t *testing.T) {
	list := func(t Target) TargetsSpec {
		return TargetsSpec{Version: 1, Expires: expires, Targets: map[string]Target{"a": t}}
	}
	with, err := NewTargets(list(target("null")))
	if err != nil {
		t.Fatal(err)
	}
	without, err := NewTargets(list(target("")))
	if err != nil || !bytes.Equal(with.Payload(), without.Payload()) {
		t.Errorf("%s, want %s; %v", with.Payload(), without.Payload(), err)
	}
}

// TestPublication: what we write, an unmodified go-tuf takes, and we read back.
func TestPublication(t *testing.T) {
	root, p := published(t, 4)
	gate, err := NewGate(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := gate.Judge(p, expires.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := gate.Judge(p, expires.Add(time.Hour)); ipc.CodeOf(err) != ipc.Corrupt {
		t.Errorf("expired: %v", err)
	}
	snapshot, err := ParseSnapshot(p.Snapshot)
	if err != nil || snapshot.Version != 4 || len(snapshot.Versions) != 17 || !snapshot.Expires.Equal(expires) {
		t.Errorf("%+v, %v", snapshot, err)
	}
	timestamp, err := ParseTimestamp(p.Timestamp)
	if err != nil || timestamp.Version != 9 || timestamp.Snapshot != 4 {
		t.Errorf("%+v, %v", timestamp, err)
	}
	top, err := ParseTargets(p.Targets)
	if err != nil {
		t.Fatal(err)
	}
	if role, ok := top.Delegated("bins-f"); !ok || role.Threshold != 1 {
		t.Error("bins-f is not delegated to")
	}
	if _, ok := top.Delegated("bins-10"); ok {
		t.Error("bins-10 is delegated to")
	}
	for _, data := range p.Delegated {
		bin, err := ParseTargets(data)
		if err != nil {
			t.Fatal(err)
		}
		if got := bin.Spec().Targets["a/b"]; got.Length != 3 || got.Hashes["sha256"] != sum || !json.Valid(got.Custom) {
			t.Errorf("%+v", got)
		}
	}
	for _, wrong := range []func(*Publication){
		func(p *Publication) { p.Targets = p.Snapshot },
		func(p *Publication) { p.Snapshot = p.Timestamp },
		func(p *Publication) { p.Delegated = maps.All(map[string][]byte{"bins-zz": p.Targets}) },
	} {
		bad := p
		wrong(&bad)
		if err := gate.Judge(bad, expires.Add(-time.Hour)); ipc.CodeOf(err) != ipc.Corrupt {
			t.Errorf("judge says %v", err)
		}
	}
}

// TestBinNames: the bin of a path is the one that go-tuf looks into.
func TestBinNames(t *testing.T) {
	for bits := 1; bits <= maxBits; bits++ {
		ours := Bins{Prefix: "p", Bits: bits}
		theirs := metadata.SuccinctRoles{NamePrefix: "p", BitLength: bits}
		for i := range 20 {
			path := fmt.Sprint("file", i)
			if want := theirs.GetRolesForTarget(path)[0].Name; ours.Name(ours.For(path)) != want {
				t.Errorf("%d bits: %s, want %s", bits, ours.Name(ours.For(path)), want)
			}
		}
	}
}

func TestNewTargetsRefuses(t *testing.T) {
	role := roleOf(t, 1, signers(1))
	delegated := func(name string, paths ...string) []Delegated {
		return []Delegated{{Name: name, Role: role, Paths: paths}}
	}
	one := func(path string, target Target) map[string]Target { return map[string]Target{path: target} }
	for why, spec := range map[string]TargetsSpec{
		"version 0":          {Targets: map[string]Target{}},
		"empty path":         {Version: 1, Targets: one("", target(""))},
		"absolute":           {Version: 1, Targets: one("/etc/passwd", target(""))},
		"upwards":            {Version: 1, Targets: one("a/../../b", target(""))},
		"control character":  {Version: 1, Targets: one("a\nb", target(""))},
		"not UTF-8":          {Version: 1, Targets: one("a\xff", target(""))},
		"negative length":    {Version: 1, Targets: one("a", Target{Length: -1, Hashes: map[string]string{"sha256": sum}})},
		"no hash":            {Version: 1, Targets: one("a", Target{Length: 1})},
		"hash in upper case": {Version: 1, Targets: one("a", Target{Hashes: map[string]string{"sha256": strings.ToUpper(sum)}})},
		"hash too short":     {Version: 1, Targets: one("a", Target{Hashes: map[string]string{"sha256": "ab"}})},
		"half a byte":        {Version: 1, Targets: one("a", Target{Hashes: map[string]string{"other": "abc"}})},
		"custom no JSON":     {Version: 1, Targets: one("a", target("{"))},
		"custom with float":  {Version: 1, Targets: one("a", target(`{"a":1.5}`))},
		"custom with break":  {Version: 1, Targets: one("a", target(`{"a":"\n"}`))},
		"too many bits":      {Version: 1, Bins: &Bins{Role: role, Prefix: "b", Bits: 15}},
		"no prefix":          {Version: 1, Bins: &Bins{Role: role, Bits: 4}},
		"bins and roles":     {Version: 1, Bins: &Bins{Role: role, Prefix: "b", Bits: 4}, Delegated: delegated("a", "*")},
		"role upwards":       {Version: 1, Delegated: delegated("../a", "*")},
		"role is root":       {Version: 1, Delegated: delegated("root", "*")},
		"no paths":           {Version: 1, Delegated: delegated("a")},
		"empty pattern":      {Version: 1, Delegated: delegated("a", "")},
		"role twice":         {Version: 1, Delegated: append(delegated("a", "*"), delegated("a", "b")...)},
		"role without keys":  {Version: 1, Delegated: []Delegated{{Name: "a", Paths: []string{"*"}, Role: Role{Threshold: 1}}}},
	} {
		spec.Expires = expires
		if _, err := NewTargets(spec); ipc.CodeOf(err) != ipc.BadRequest {
			t.Errorf("%s: %v", why, err)
		}
	}
	for _, versions := range []map[string]int64{{"../x": 1}, {"root": 1}, {"a": 0}} {
		if _, err := NewSnapshot(SnapshotSpec{Version: 1, Expires: expires, Versions: versions}); err == nil {
			t.Errorf("snapshot of %v", versions)
		}
	}
}

func TestParseTargetsRefuses(t *testing.T) {
	spec := TargetsSpec{Version: 1, Expires: expires, Targets: map[string]Target{"a": target("")}, Delegated: []Delegated{{Name: "d", Role: roleOf(t, 1, signers(2)), Paths: []string{"x/*"}}}}
	good, err := NewTargets(spec)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseTargets(good.Bytes()); err != nil || len(again.Spec().Delegated) != 1 || string(again.Payload()) != string(good.Payload()) {
		t.Fatalf("%v", err)
	}
	tests := map[string]func(signed map[string]any){
		"other type":      func(s map[string]any) { s["_type"] = "root" },
		"version 0":       func(s map[string]any) { s["version"] = 0 },
		"specification 2": func(s map[string]any) { s["spec_version"] = "2.0" },
		"fraction":        func(s map[string]any) { s["expires"] = "2030-01-02T03:04:05.5Z" },
		"null target":     func(s map[string]any) { s["targets"] = map[string]any{"a": nil} },
		"path upwards":    func(s map[string]any) { s["targets"].(map[string]any)["../a"] = s["targets"].(map[string]any)["a"] },
		"foreign key id": func(s map[string]any) {
			s["delegations"].(map[string]any)["roles"].([]any)[0].(map[string]any)["keyids"] = []string{"ab"}
		},
		"hash prefixes": func(s map[string]any) {
			s["delegations"].(map[string]any)["roles"].([]any)[0].(map[string]any)["path_hash_prefixes"] = []string{"ab"}
		},
	}
	for why, change := range tests {
		data := edit(t, good.Bytes(), func(doc map[string]any) { change(signedOf(doc)) })
		if _, err := ParseTargets(data); ipc.CodeOf(err) != ipc.Corrupt {
			t.Errorf("%s: %v", why, err)
		}
	}
	if _, err := ParseTargets(make([]byte, MaxFile+1)); ipc.CodeOf(err) != ipc.TooLarge {
		t.Error(err)
	}
}

func TestFileSignatures(t *testing.T) {
	role := roleOf(t, 2, signers(1, 2, 3))
	top, err := NewTargets(TargetsSpec{Version: 1, Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	f := mustSign(t, top.File, role, signer(2), signer(2))
	if p := f.Progress(role); p.Complete() || len(p.Signed) != 1 || len(f.Signatures()) != 1 {
		t.Errorf("%+v", p)
	}
	if _, err := f.Sign(t.Context(), signer(9), role); ipc.CodeOf(err) != ipc.PermissionDenied {
		t.Error(err)
	}
	loose := Signature{KeyID: keyIDOf(signer(1)), Sig: looseSignature(signer(1), f.Payload())}
	if _, err := f.AddSignature(role, loose); ipc.CodeOf(err) != ipc.BadRequest {
		t.Error(err)
	}
	again, err := ParseTargets(mustSign(t, f, role, signer(3)).Bytes())
	if err != nil || !again.Progress(role).Complete() {
		t.Errorf("%v, %+v", err, again)
	}
	big := map[string]Target{}
	for i := range 3000 {
		big[fmt.Sprint("file-", i, strings.Repeat("x", 20))] = target("")
	}
	large, err := NewTargets(TargetsSpec{Version: 1, Expires: expires, Targets: big})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := large.Sign(t.Context(), signer(1), role); ipc.CodeOf(err) != ipc.TooLarge || ipc.HintOf(err) == "" {
		t.Errorf("metadata over 256 KiB: %v", err)
	}
}

func FuzzParseTargets(f *testing.F) {
	_, p := published(f, 2)
	f.Add(p.Targets)
	for _, data := range p.Delegated {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := ParseTargets(data)
		if err != nil {
			return
		}
		md, err := new(metadata.Metadata[metadata.TargetsType]).FromBytes(data)
		if err != nil || md.Signed.Version != parsed.Version() {
			t.Errorf("we accept what go-tuf does not: %v", err)
		}
	})
}
