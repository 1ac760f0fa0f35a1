package project

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type vectors struct {
	ProjectIDs []struct {
		OID   string `json:"oid"`
		URNID string `json:"urn_id"`
		RID   string `json:"rid"`
	} `json:"project_ids"`
	Rejected []struct {
		URNID string `json:"urn_id"`
		Why   string `json:"why"`
	} `json:"rejected_urn_ids"`
}

func readVectors(t testing.TB) vectors {
	data, err := os.ReadFile(filepath.Join("testdata", "peerid.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil || len(v.ProjectIDs) == 0 || len(v.Rejected) == 0 {
		t.Fatalf("testdata/peerid.json: %v, %d ids, %d rejected", err, len(v.ProjectIDs), len(v.Rejected))
	}
	return v
}

func TestURNVectors(t *testing.T) {
	v := readVectors(t)
	for _, id := range v.ProjectIDs {
		oid, err := ParseOID(id.OID)
		if err != nil {
			t.Fatal(err)
		}
		if urn := NewURN(oid); string(urn) != id.RID {
			t.Errorf("NewURN(%s) = %s, want %s", oid, urn, id.RID)
		}
		for _, spelling := range []string{id.RID, strings.TrimPrefix(id.RID, "rad:")} {
			urn, err := ParseURN(spelling)
			if err != nil || string(urn) != id.RID || urn.ID() != oid || string(urn.Bytes()) != string(oid[:]) {
				t.Errorf("ParseURN(%q) = %s (%s), %v", spelling, urn, urn.ID(), err)
			}
		}
		refuseURN(t, id.URNID, "the old notation")
		refuseURN(t, "rad:git:"+id.URNID, "the old notation")
	}
	for _, id := range v.Rejected {
		refuseURN(t, id.URNID, id.Why)
	}
}

func TestURNRefused(t *testing.T) {
	const good = "rad:z3gqcJUoA1n9HaHKufZs5FCSGazv5"
	for why, s := range map[string]string{
		"empty": "", "prefix alone": "rad:", "no digits": "rad:z", "upper-case prefix": "RAD:" + good[4:],
		"twice": "rad:" + good, "path": good + "/rad/id", "blank": good + " ", "too long": good + strings.Repeat("1", 300),
		"digit 0": strings.Replace(good, "3", "0", 1), "21 bytes": "rad:z1" + good[5:], "19 bytes": "rad:z1111111111111111111",
		"traversal": "rad:z/../../etc", "peer id": "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp", "NUL": good + "\x00",
	} {
		refuseURN(t, s, why)
	}
}

func refuseURN(t *testing.T, s, why string) {
	t.Helper()
	if urn, err := ParseURN(s); err == nil {
		t.Errorf("ParseURN(%q) = %s, want an error: %s", s, urn, why)
	} else if len(err.Error()) > 400 {
		t.Errorf("ParseURN of %d bytes: the message has %d", len(s), len(err.Error()))
	}
}

func TestPathIsMadeFromBytes(t *testing.T) {
	s := Store{Dir: "/s"}
	if got := s.Path("rad:z3gqcJUoA1n9HaHKufZs5FCSGazv5"); got != "/s/z3gqcJUoA1n9HaHKufZs5FCSGazv5.git" {
		t.Error(got)
	}
	if got := s.Path("rad:z/../../../etc"); got != "/s/z11111111111111111111.git" {
		t.Error(got)
	}
}

func TestOIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		oid := genOID.Draw(t, "oid")
		if again, err := ParseOID(oid.String()); err != nil || again != oid {
			t.Fatalf("%s became %s, %v", oid, again, err)
		}
		if urn, err := ParseURN(string(NewURN(oid))); err != nil || urn.ID() != oid {
			t.Fatalf("%s became %s, %v", NewURN(oid), urn, err)
		}
	})
	for _, s := range []string{"", "abc", strings.Repeat("g", 40), strings.Repeat("a", 64), strings.Repeat("a", 41)} {
		if oid, err := ParseOID(s); err == nil {
			t.Errorf("ParseOID(%q) = %s, want an error", s, oid)
		}
	}
}

var genOID = rapid.Custom(func(t *rapid.T) OID {
	return OID(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "bytes"))
})

func FuzzParseURN(f *testing.F) {
	for _, id := range readVectors(f).ProjectIDs {
		f.Add(id.RID)
		f.Add(id.URNID)
	}
	f.Add("rad:z")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		urn, err := ParseURN(s)
		if err != nil {
			return
		}
		if again, err := ParseURN(string(urn)); err != nil || again != urn || string(urn) != "rad:"+strings.TrimPrefix(s, "rad:") {
			t.Errorf("%q gave %q, then %q, %v", s, urn, again, err)
		}
	})
}
