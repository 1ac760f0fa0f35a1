package peer

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type vectors struct {
	Keys []struct {
		Name        string `json:"name"`
		Seed        string `json:"seed"`
		PublicKey   string `json:"public_key"`
		PeerID      string `json:"peer_id"`
		DID         string `json:"did"`
		Link        string `json:"link_peer_id"`
		SSH         string `json:"ssh_public_key"`
		Fingerprint string `json:"ssh_fingerprint"`
	} `json:"keys"`
	Projects []struct {
		OID   string `json:"oid"`
		URNID string `json:"urn_id"`
		RID   string `json:"rid"`
	} `json:"project_ids"`
	Rejected []struct {
		URNID string `json:"urn_id"`
	} `json:"rejected_urn_ids"`
}

func load(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/peerid.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNotations(t *testing.T) {
	for _, v := range load(t).Keys {
		t.Run(v.Name, func(t *testing.T) {
			pub := unhex(t, v.PublicKey)
			if v.Seed != "" && !bytes.Equal(ed25519.NewKeyFromSeed(unhex(t, v.Seed)).Public().(ed25519.PublicKey), pub) {
				t.Fatal("the vector's seed and key do not match")
			}
			id, err := FromPublicKey(pub)
			if err != nil {
				t.Fatal(err)
			}
			for _, form := range []struct{ name, got, want string }{
				{"peer id", string(id), v.PeerID}, {"did", id.DID(), v.DID}, {"link", id.Link(), v.Link},
				{"ssh", id.SSHKey(), v.SSH}, {"fingerprint", id.Fingerprint(), v.Fingerprint},
			} {
				if form.got != form.want {
					t.Errorf("%s is %s, want %s", form.name, form.got, form.want)
				}
			}
			for _, s := range []string{v.PeerID, v.DID, v.Link, v.SSH, v.SSH + " a comment"} {
				if got, err := Parse(s); err != nil || got != id {
					t.Errorf("Parse(%q) = %s, %v", s, got, err)
				}
			}
			if !bytes.Equal(id.PublicKey(), pub) {
				t.Errorf("public key is %x, want %x", id.PublicKey(), pub)
			}
		})
	}
}

// TestProjectIDs checks the multibase that project URNs use, and that no project id passes for a peer id.
func TestProjectIDs(t *testing.T) {
	v := load(t)
	for _, p := range v.Projects {
		oid := unhex(t, p.OID)
		if got := "rad:" + Multibase(oid); got != p.RID {
			t.Errorf("rid of %s is %s, want %s", p.OID, got, p.RID)
		}
		if got, err := ParseMultibase(strings.TrimPrefix(p.RID, "rad:")); err != nil || !bytes.Equal(got, oid) {
			t.Errorf("ParseMultibase(%s) = %x, %v", p.RID, got, err)
		}
		if got := "h" + zbase32.EncodeToString(append([]byte{0x11, 0x14}, oid...)); got != p.URNID {
			t.Errorf("old urn id of %s is %s, want %s", p.OID, got, p.URNID)
		}
		mustRefuse(t, p.URNID, p.RID)
	}
	for _, r := range v.Rejected {
		mustRefuse(t, r.URNID)
	}
}

func mustRefuse(t *testing.T, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if id, err := Parse(s); !errors.Is(err, ErrInvalid) || id != "" {
			t.Errorf("Parse(%q) = %q, %v; want ErrInvalid", s, id, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	v := load(t).Keys[0]
	flipped := "h" + zbase32.EncodeToString(append([]byte{1}, unhex(t, v.PublicKey)...))
	stray := v.Link[:len(v.Link)-1] + "b"
	if v.Link[len(v.Link)-1] == 'b' {
		t.Fatal("choose another vector")
	}
	secp := Multibase(append([]byte{0xe7, 0x01}, make([]byte, 33)...))
	mustRefuse(t, "", "z", "h", "did:key:", "z6Mk", v.PeerID[1:], v.PeerID+"1", "m"+v.PeerID[1:], " "+v.PeerID, v.PeerID+"\n",
		strings.Replace(v.PeerID, "6", "0", 1), v.Link+"y", v.Link[1:], flipped, stray, strings.ToUpper(v.Link), secp,
		"did:key:did:key:"+v.PeerID, "did:web:"+v.PeerID, strings.Repeat("z", 1<<20),
		"ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA", "ssh-ed25519 "+strings.Repeat("A", 68), "ssh-rsa "+v.SSH[len("ssh-ed25519 "):])
	for _, pub := range [][]byte{nil, make([]byte, 31), make([]byte, 33)} {
		if _, err := FromPublicKey(pub); !errors.Is(err, ErrInvalid) {
			t.Errorf("a key of %d bytes: %v", len(pub), err)
		}
	}
	if ID("rubbish").PublicKey() != nil {
		t.Error("a malformed id has a public key")
	}
}

func TestMultibaseRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 128).Draw(t, "b")
		got, err := ParseMultibase(Multibase(b))
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%x became %x, %v", b, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, v := range load(f).Keys {
		f.Add(v.PeerID)
		f.Add(v.DID)
		f.Add(v.Link)
		f.Add(v.SSH)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := Parse(s)
		if err != nil {
			return
		}
		for _, form := range []string{string(id), id.DID(), id.Link(), id.SSHKey()} {
			if again, err := Parse(form); err != nil || again != id {
				t.Fatalf("%q parsed as %s, whose form %q parses as %s, %v", s, id, form, again, err)
			}
		}
	})
}
