package keys

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
)

const secret = "correct horse"

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writeKey(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestGenerate makes a key with the real cost and shows it to OpenSSH.
func TestGenerate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "key")
	id, err := Generate(path, "my laptop", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	for file, mode := range map[string]os.FileMode{path: 0o600, path + ".pub": 0o644, filepath.Dir(path): 0o700 | fs.ModeDir} {
		if info, err := os.Stat(file); err != nil || info.Mode() != mode {
			t.Errorf("%s has mode %v, %v; want %v", file, info.Mode(), err, mode)
		}
	}
	want := id.SSHKey() + " my laptop"
	if pub, err := os.ReadFile(path + ".pub"); err != nil || string(pub) != want+"\n" {
		t.Errorf("the .pub file holds %q, %v", pub, err)
	}
	if got := output(t, "ssh-keygen", "-y", "-P", secret, "-f", path); got != want {
		t.Errorf("ssh-keygen reads %q, want %q", got, want)
	}
	if got, err := ReadPublicKey(path); err != nil || got != id {
		t.Errorf("ReadPublicKey says %s, %v", got, err)
	}
	if _, err := Generate(path, "", []byte(secret)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key file is overwritten: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestGenerateRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, args := range map[string][3]string{
		"no passphrase": {filepath.Join(dir, "a"), "c", ""}, "two lines": {filepath.Join(dir, "b"), "a\nb", secret}, "no folder": {"/dev/null/x", "c", secret},
	} {
		if _, err := Generate(args[0], args[1], []byte(args[2])); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "d.pub"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Generate(filepath.Join(dir, "d"), "", []byte(secret)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a public key file is overwritten: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("refusals leave %v", entries)
	}
}

// TestKeyFileBothWays compares our encoder and key derivation with x/crypto's and OpenSSH's, at several costs.
func TestKeyFileBothWays(t *testing.T) {
	for _, rounds := range []int{1, 2, 5} {
		key := newKey(t)
		file := encodeKey(key, "a comment", []byte(secret), rounds)
		raw, err := ssh.ParseRawPrivateKeyWithPassphrase(file, []byte(secret))
		if err != nil || !key.Equal(*raw.(*ed25519.PrivateKey)) {
			t.Errorf("%d rounds: x/crypto reads %v", rounds, err)
		}
		if got, err := decodeKey(file, []byte(secret)); err != nil || !key.Equal(got) {
			t.Errorf("%d rounds: we read %v", rounds, err)
		}
		path := writeKey(t, file)
		id, _ := peer.FromPublicKey(key.Public().(ed25519.PublicKey))
		if got := output(t, "ssh-keygen", "-y", "-P", secret, "-f", path); got != id.SSHKey()+" a comment" {
			t.Errorf("%d rounds: ssh-keygen reads %q", rounds, got)
		}
	}
}

func TestDecodeKeyRefuses(t *testing.T) {
	key := newKey(t)
	file := encodeKey(key, "", []byte(secret), 1)
	for _, passphrase := range []string{"", "wrong"} {
		if _, err := decodeKey(file, []byte(passphrase)); !errors.Is(err, ErrPassphrase) {
			t.Errorf("passphrase %q: %v", passphrase, err)
		}
	}
	mixed := append(append(ed25519.PrivateKey{}, key[:32]...), newKey(t)[32:]...)
	if _, err := decodeKey(encodeKey(mixed, "", []byte(secret), 1), []byte(secret)); !errors.Is(err, ErrWeakKey) {
		t.Errorf("a key whose halves differ: %v", err)
	}
	rsa := filepath.Join(t.TempDir(), "rsa")
	output(t, "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", rsa)
	data, err := os.ReadFile(rsa)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"empty": nil, "no pem": []byte("hello"), "rsa": data, "cut": file[:len(file)/2]} {
		if _, err := decodeKey(data, []byte(secret)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ReadPublicKey(writeKey(t, bytes.Repeat([]byte("x"), maxKeyFile+1))); err == nil {
		t.Error("a huge key file is read")
	}
}

func TestImport(t *testing.T) {
	key := newKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := peer.FromPublicKey(key.Public().(ed25519.PublicKey))
	for name, data := range map[string][]byte{
		"pkcs8": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), "openssh": encodeKey(key, "", []byte("old"), 1),
	} {
		path := filepath.Join(t.TempDir(), "key")
		got, err := store(path, "imported", []byte(secret), 1, func() (ed25519.PrivateKey, error) { return decodeKey(data, []byte("old")) })
		if err != nil || got != id {
			t.Errorf("%s: imported %s, %v", name, got, err)
		}
		opened, err := openKey(t.Context(), path, func(context.Context) ([]byte, error) { return []byte(secret), nil })
		if err != nil || opened.id != id || opened.comment != "imported" {
			t.Errorf("%s: opened %s %q, %v", name, opened.id, opened.comment, err)
		}
		if pub, err := ReadPublicKey(writeKey(t, data)); err != nil || pub != id {
			t.Errorf("%s: ReadPublicKey says %s, %v", name, pub, err)
		}
	}
}

func FuzzDecodeKey(f *testing.F) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	plain, err := ssh.MarshalPrivateKey(key, "comment")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain.Type, plain.Bytes)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("PRIVATE KEY", der)
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body})
		key, err := decodeKey(data, nil)
		if err != nil {
			return
		}
		if CheckPublicKey(key.Public().(ed25519.PublicKey)) != nil {
			t.Fatal("a weak key is admitted")
		}
		if _, err := publicPart(data); err != nil {
			t.Fatal(err)
		}
	})
}

// BenchmarkRound says what one round of the key derivation costs; aboutASecond stands on it.
func BenchmarkRound(b *testing.B) {
	for b.Loop() {
		bcryptPBKDF([]byte(secret), []byte("salt"), 1, derivedSize)
	}
}
