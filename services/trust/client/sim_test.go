package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/blake2b"

	"github.com/lnk-suite/lnk/services/trust"
)

// doc is a JSON object that tests take apart.
type doc = map[string]any

// simSigner is a key pair of any type.
type simSigner struct {
	id     string
	public doc
	sign   func(payload []byte) []byte
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newSigner makes a key of type ecdsa, rsa or ed25519, with further members if extra has any.
func newSigner(kind string, extra doc) simSigner {
	var s simSigner
	var value string
	scheme := map[string]string{"ecdsa": "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256": "ecdsa-sha2-nistp256", "rsa": "rsassa-pss-sha256", "ed25519": "ed25519"}[kind]
	switch kind {
	case "ed25519":
		pub, private, err := ed25519.GenerateKey(rand.Reader)
		value = hex.EncodeToString(must(pub, err))
		s.sign = func(payload []byte) []byte { return ed25519.Sign(private, payload) }
	case "rsa":
		private := must(rsa.GenerateKey(rand.Reader, 2048))
		value = pemOf(private.Public())
		s.sign = func(payload []byte) []byte {
			sum := sha256.Sum256(payload)
			return must(rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], nil))
		}
	default:
		private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		value = pemOf(private.Public())
		s.sign = func(payload []byte) []byte {
			sum := sha256.Sum256(payload)
			return must(ecdsa.SignASN1(rand.Reader, private, sum[:]))
		}
	}
	s.public = doc{"keytype": kind, "scheme": scheme, "keyval": doc{"public": value}}
	maps.Copy(s.public, extra)
	sum := sha256.Sum256(must(trust.Canonical(must(json.Marshal(s.public)))))
	s.id = hex.EncodeToString(sum[:])
	return s
}

func pemOf(public crypto.PublicKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(public))}))
}

// sim is a repository whose documents tests change at will: what docs say is signed by whoever signers lists when it is
// published, right or wrong.
type sim struct {
	docs      map[string]doc
	signers   map[string][]simSigner
	published map[string][][]byte // by role, from version 1 on
	files     map[string][]byte   // what is served for a target
	sums      bool                // timestamp and snapshot hold lengths and hashes

	mu                sync.Mutex
	asked, askedFiles []string
}

// dates of the simulated world: today is the time of every step unless it says another.
var today = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

func inDays(n int) string { return today.AddDate(0, 0, n).Format(time.RFC3339) }

func newSim() *sim {
	s := &sim{docs: map[string]doc{}, signers: map[string][]simSigner{}, published: map[string][][]byte{}, files: map[string][]byte{}}
	for _, role := range topLevelRoles {
		s.docs[role] = doc{"_type": role, "spec_version": "1.0.34", "version": int64(1), "expires": inDays(30)}
	}
	s.docs["targets"]["targets"] = doc{}
	s.docs["snapshot"]["meta"] = doc{"targets.json": doc{"version": 1}}
	s.docs["timestamp"]["meta"] = doc{"snapshot.json": doc{"version": 1}}
	s.docs["root"]["consistent_snapshot"] = true
	s.docs["root"]["keys"] = doc{}
	s.docs["root"]["roles"] = doc{}
	for _, role := range topLevelRoles {
		s.in("root", "roles")[role] = doc{"keyids": []string{}, "threshold": 1}
		s.addKey(role, newSigner("ecdsa", nil))
	}
	s.publish("targets", "snapshot", "timestamp", "root")
	return s
}

// in returns a member of a member of … of what a role says.
func (s *sim) in(role string, path ...string) doc {
	d := s.docs[role]
	for _, name := range path {
		d = d[name].(doc)
	}
	return d
}

// addKey makes a signer one of a top-level role.
func (s *sim) addKey(role string, k simSigner) {
	s.nameKey(role, k)
	s.signers[role] = append(s.signers[role], k)
}

// nameKey lists a key for a role, whose documents it does not sign.
func (s *sim) nameKey(role string, k simSigner) {
	s.in("root", "keys")[k.id] = k.public
	r := s.in("root", "roles", role)
	r["keyids"] = append(r["keyids"].([]string), k.id)
}

func (s *sim) setThreshold(role string, n int) { s.in("root", "roles", role)["threshold"] = n }

// rotate replaces the keys of a role by new ones.
func (s *sim) rotate(role string) {
	s.in("root", "roles", role)["keyids"] = []string{}
	s.signers[role] = nil
	s.addKey(role, newSigner("ecdsa", nil))
}

// setKeys makes exactly these keys those of a role, and others those that sign.
func (s *sim) setKeys(role string, threshold int, keys, sign []simSigner) {
	s.in("root", "roles")[role] = doc{"keyids": []string{}, "threshold": threshold}
	for _, k := range keys {
		s.nameKey(role, k)
	}
	s.signers[role] = sign
}

// publish makes the next version of each role, in the order given: later ones refer to earlier ones.
func (s *sim) publish(roles ...string) {
	for _, role := range roles {
		d := s.docs[role]
		if s.published[role] != nil {
			d["version"] = d["version"].(int64) + 1
		}
		data := s.seal(d, s.signers[role])
		s.published[role] = append(s.published[role], data)
		s.refer(role, d["version"].(int64), data)
	}
}

// seal signs a document.
func (s *sim) seal(d doc, signers []simSigner) []byte {
	payload := must(trust.Canonical(must(json.Marshal(d))))
	signatures := []doc{}
	for _, k := range signers {
		signatures = append(signatures, doc{"keyid": k.id, "sig": hex.EncodeToString(k.sign(payload))})
	}
	return must(json.MarshalIndent(doc{"signatures": signatures, "signed": d}, "", " "))
}

// refer notes a new document in the one that speaks for it.
func (s *sim) refer(role string, version int64, data []byte) {
	entry := doc{"version": version}
	if s.sums {
		sum := sha256.Sum256(data)
		entry["length"], entry["hashes"] = len(data), doc{"sha256": hex.EncodeToString(sum[:])}
	}
	switch role {
	case "root", "timestamp":
	case "snapshot":
		s.in("timestamp", "meta")["snapshot.json"] = entry
	default:
		s.in("snapshot", "meta")[role+".json"] = entry
	}
}

// everything publishes all top-level roles but root.
func (s *sim) everything() { s.publish("targets", "snapshot", "timestamp") }

// restart forgets what was published of a role, so that the next version is the first again.
func (s *sim) restart(role string) {
	delete(s.published, role)
	s.docs[role]["version"] = int64(1)
}

// amend changes the last published document of a role without signing it.
func (s *sim) amend(role string, change func(file doc)) {
	list := s.published[role]
	var file doc
	if err := json.Unmarshal(list[len(list)-1], &file); err != nil {
		panic(err)
	}
	change(file)
	list[len(list)-1] = must(json.Marshal(file))
}

// addFile makes data a target of a role, with hashes by these algorithms, or SHA-256.
func (s *sim) addFile(role, path, data string, algorithms ...string) {
	h := doc{}
	if len(algorithms) == 0 {
		algorithms = []string{"sha256"}
	}
	for _, a := range algorithms {
		h[a] = sumOf(a, data)
	}
	s.in(role, "targets")[path] = doc{"length": len(data), "hashes": h}
	s.files[path] = []byte(data)
}

func sumOf(algorithm, data string) string {
	switch algorithm {
	case "sha256":
		sum := sha256.Sum256([]byte(data))
		return hex.EncodeToString(sum[:])
	case "blake2b-256":
		sum := blake2b.Sum256([]byte(data))
		return hex.EncodeToString(sum[:])
	}
	sum := sha512.Sum512([]byte(data))
	return hex.EncodeToString(sum[:])
}

// delegate adds a role below another, with a key of its own.
func (s *sim) delegate(by, name string, role doc) {
	if s.docs[by]["delegations"] == nil {
		s.docs[by]["delegations"] = doc{"keys": doc{}, "roles": []doc{}}
	}
	k := newSigner("ecdsa", nil)
	d := s.in(by, "delegations")
	d["keys"].(doc)[k.id] = k.public
	all := doc{"name": name, "keyids": []string{k.id}, "threshold": 1, "terminating": false}
	maps.Copy(all, role)
	d["roles"] = append(d["roles"].([]doc), all)
	s.signers[name] = append(s.signers[name], k)
	if s.docs[name] == nil {
		s.docs[name] = doc{"_type": "targets", "spec_version": "1.0.34", "version": int64(1), "expires": inDays(30), "targets": doc{}}
	}
}

// succinct adds hash bins below targets.
func (s *sim) succinct(prefix string, bits int) {
	k := newSigner("ecdsa", nil)
	s.docs["targets"]["delegations"] = doc{"keys": doc{k.id: k.public}, "succinct_roles": doc{"keyids": []string{k.id}, "threshold": 1, "bit_length": bits, "name_prefix": prefix}}
	for i := range 1 << bits {
		name := trust.Bins{Prefix: prefix, Bits: bits}.Name(i)
		s.docs[name] = doc{"_type": "targets", "spec_version": "1.0.34", "version": int64(1), "expires": inDays(30), "targets": doc{}}
		s.signers[name] = []simSigner{k}
		s.publish(name)
	}
}

// ServeHTTP serves metadata/ and targets/ and notes who asked for what.
func (s *sim) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.serve(strings.TrimPrefix(q.URL.EscapedPath(), "/"))
	if !ok {
		http.NotFound(w, q)
		return
	}
	_, _ = w.Write(data)
}

func (s *sim) serve(path string) ([]byte, bool) {
	consistent := s.docs["root"]["consistent_snapshot"] == true
	if name, ok := strings.CutPrefix(path, "targets/"); ok {
		s.askedFiles = append(s.askedFiles, unescape(name))
		dir, base := "", unescape(name)
		if i := strings.LastIndexByte(base, '/'); i >= 0 {
			dir, base = base[:i+1], base[i+1:]
		}
		if consistent {
			_, base, _ = strings.Cut(base, ".")
		}
		data, ok := s.files[dir+base]
		return data, ok
	}
	name := strings.TrimSuffix(strings.TrimPrefix(path, "metadata/"), ".json")
	version, role, versioned := strings.Cut(name, ".")
	n, err := strconv.Atoi(version)
	if !versioned || err != nil || !consistent && role != "root" {
		s.asked = append(s.asked, name)
		list := s.published[unescape(name)]
		if len(list) == 0 {
			return nil, false
		}
		return list[len(list)-1], true
	}
	s.asked = append(s.asked, fmt.Sprintf("%s %d", role, n))
	list := s.published[unescape(role)]
	if n < 1 || n > len(list) {
		return nil, false
	}
	return list[n-1], true
}

func unescape(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			out = append(out, must(hex.DecodeString(s[i+1:i+3]))...)
			i += 2
		} else {
			out = append(out, s[i])
		}
	}
	return string(out)
}

// requests returns what was asked for of the metadata since the last time.
func (s *sim) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.asked)
	s.asked = nil
	return all
}
