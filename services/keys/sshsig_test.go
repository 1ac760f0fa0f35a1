package keys_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"
)

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSSHSIGOurs has the agent sign and ssh-keygen verify.
func TestSSHSIGOurs(t *testing.T) {
	agent := keystest.Agent(t)
	id := keystest.AddKey(t, agent)
	sig, err := keys.SignSSHSIG(t.Context(), agent.Signer(id), keys.NamespaceSigRefs, message)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.VerifySSHSIG(id.PublicKey(), keys.NamespaceSigRefs, message, sig); err != nil {
		t.Error(err)
	}
	allowed := writeFile(t, "allowed", "me@example.org "+id.SSHKey()+"\n")
	verify := func(namespace, msg string) error {
		cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "me@example.org", "-n", namespace, "-s", writeFile(t, "sig", string(sig)))
		cmd.Stdin = strings.NewReader(msg)
		return cmd.Run()
	}
	if err := verify(keys.NamespaceSigRefs, string(message)); err != nil {
		t.Errorf("ssh-keygen refuses ours: %v", err)
	}
	if verify("git", string(message)) == nil || verify(keys.NamespaceSigRefs, "another") == nil {
		t.Error("ssh-keygen accepts what it must not: the test is wrong")
	}
}

// TestSSHSIGTheirs has ssh-keygen sign, with every kind of key and hash, and us verify.
func TestSSHSIGTheirs(t *testing.T) {
	for _, kind := range [][]string{{"-t", "ed25519"}, {"-t", "rsa", "-b", "2048"}, {"-t", "ecdsa"}} {
		for _, hash := range []string{"sha256", "sha512"} {
			t.Run(kind[1]+" "+hash, func(t *testing.T) {
				key := filepath.Join(t.TempDir(), "key")
				run(t, nil, "ssh-keygen", append(kind, "-q", "-N", "", "-f", key)...)
				file := writeFile(t, "file", string(message))
				run(t, nil, "ssh-keygen", "-Y", "sign", "-f", key, "-n", "file", "-O", "hashalg="+hash, file)
				checkTheirs(t, file+".sig")
			})
		}
	}
}

func checkTheirs(t *testing.T, path string) {
	t.Helper()
	armored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := keys.ParseSSHSIG(armored)
	if err != nil {
		t.Fatal(err)
	}
	if err := sig.Verify("file", bytes.NewReader(message)); err != nil {
		t.Error(err)
	}
	if err := sig.Verify("file", strings.NewReader("another")); !errors.Is(err, keys.ErrSignature) {
		t.Errorf("another message: %v", err)
	}
	for _, namespace := range []string{"", "git", keys.NamespaceSigRefs, "file "} {
		if err := sig.Verify(namespace, bytes.NewReader(message)); !errors.Is(err, keys.ErrSignature) {
			t.Errorf("namespace %q: %v", namespace, err)
		}
	}
}

// TestNamespacesAreApart signs in each namespace and verifies in each other.
func TestNamespacesAreApart(t *testing.T) {
	all := []string{keys.NamespaceSigRefs, "lnk-auth", "git", "file"}
	signer := keystest.Signer(1)
	for _, made := range all {
		sig, err := keys.SignSSHSIG(t.Context(), signer, made, message)
		if err != nil {
			t.Fatal(err)
		}
		for _, wanted := range all {
			if err := keys.VerifySSHSIG(signer.PublicKey(), wanted, message, sig); (err == nil) != (made == wanted) {
				t.Errorf("made for %s, checked for %s: %v", made, wanted, err)
			}
		}
	}
	if _, err := keys.SignSSHSIG(t.Context(), signer, "", message); err == nil {
		t.Error("an empty namespace is accepted")
	}
}

func TestSSHSIGRefuses(t *testing.T) {
	signer, other := keystest.Signer(1), keystest.Signer(2)
	good, err := keys.SignSSHSIG(t.Context(), signer, "file", message)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.VerifySSHSIG(other.PublicKey(), "file", message, good); !errors.Is(err, keys.ErrSignature) {
		t.Errorf("by another key: %v", err)
	}
	if err := keys.VerifySSHSIG(nil, "file", message, good); !errors.Is(err, peer.ErrInvalid) {
		t.Errorf("no key: %v", err)
	}
	block, _ := pem.Decode(good)
	encode := func(kind string, body []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body}))
	}
	version2 := bytes.Clone(block.Bytes)
	version2[9] = 2
	for name, armored := range map[string]string{
		"empty": "", "text before": "hello\n" + string(good), "text after": string(good) + "hello", "twice": string(good) + string(good),
		"other type": encode("SSH KEY", block.Bytes), "no magic": encode("SSH SIGNATURE", block.Bytes[1:]), "cut": encode("SSH SIGNATURE", block.Bytes[:80]),
		"trailing": encode("SSH SIGNATURE", append(bytes.Clone(block.Bytes), 0)), "version 2": encode("SSH SIGNATURE", version2),
		"huge": string(good) + strings.Repeat("\n", 1<<20), "md5": encode("SSH SIGNATURE", bytes.Replace(block.Bytes, []byte("sha512"), []byte("md5md5"), 1)),
		"unknown key": encode("SSH SIGNATURE", bytes.Replace(block.Bytes, []byte("ssh-ed25519"), []byte("ssh-ed99999"), 1)),
	} {
		if _, err := keys.ParseSSHSIG([]byte(armored)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSSHSIGBitFlips changes every bit of a signature's body: none of the results may verify.
func TestSSHSIGBitFlips(t *testing.T) {
	signer := keystest.Signer(1)
	good, err := keys.SignSSHSIG(t.Context(), signer, "file", message)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(good)
	for i := range len(block.Bytes) * 8 {
		body := bytes.Clone(block.Bytes)
		body[i/8] ^= 1 << (i % 8)
		armored := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: body})
		if err := keys.VerifySSHSIG(signer.PublicKey(), "file", message, armored); err == nil {
			t.Errorf("bit %d changed, and it verifies", i)
		}
	}
}

func TestSSHSIGStreams(t *testing.T) {
	agent := keystest.Agent(t)
	key, err := agent.Key(t.Context(), string(keystest.AddKey(t, agent)))
	if err != nil {
		t.Fatal(err)
	}
	big := func() io.Reader { return io.LimitReader(zeros{}, 64<<20) }
	armored, err := key.SignSSHSIG(t.Context(), "file", big())
	if err != nil {
		t.Fatal(err)
	}
	sig, err := keys.ParseSSHSIG(armored)
	if err != nil {
		t.Fatal(err)
	}
	if err := sig.Verify("file", iotest.HalfReader(big())); err != nil {
		t.Error(err)
	}
	broken := iotest.ErrReader(io.ErrNoProgress)
	if _, err := key.SignSSHSIG(t.Context(), "file", broken); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("signing what cannot be read: %v", err)
	}
	if err := sig.Verify("file", broken); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("verifying what cannot be read: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestSSHSIGRoundTrip(t *testing.T) {
	signer := keystest.Signer(1)
	rapid.Check(t, func(t *rapid.T) {
		namespace := rapid.StringN(1, 40, 200).Draw(t, "namespace")
		msg := rapid.SliceOf(rapid.Byte()).Draw(t, "msg")
		sig, err := keys.SignSSHSIG(t.Context(), signer, namespace, msg)
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.VerifySSHSIG(signer.PublicKey(), namespace, msg, sig); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSecurityKey makes the signature that a FIDO key would make, as no machine of ours has one.
func TestSecurityKey(t *testing.T) {
	signer := keystest.Signer(1)
	blob := append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Digest string }{"file", "", "sha256", sum(message)})...)
	const flags, counter = 1, 7
	raw, err := signer.Sign(t.Context(), ssh.Marshal(struct {
		Application [32]byte
		Flags       byte
		Counter     uint32
		Digest      [32]byte
	}{sha256.Sum256([]byte("ssh:")), flags, counter, sha256.Sum256(blob)}))
	if err != nil {
		t.Fatal(err)
	}
	const kind = "sk-ssh-ed25519@openssh.com"
	key := ssh.Marshal(struct{ Type, Key, Application string }{kind, string(signer.PublicKey()), "ssh:"})
	build := func(counter uint32) []byte {
		signature := ssh.Marshal(struct {
			Format  string
			Blob    []byte
			Flags   byte
			Counter uint32
		}{kind, raw, flags, counter})
		return pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: append([]byte("SSHSIG"), ssh.Marshal(struct {
			Version                        uint32
			Key, Namespace, Reserved, Hash string
			Signature                      string
		}{1, string(key), "file", "", "sha256", string(signature)})...)})
	}
	sig, err := keys.ParseSSHSIG(build(counter))
	if err != nil {
		t.Fatal(err)
	}
	if err := sig.Verify("file", bytes.NewReader(message)); err != nil || sig.Peer != "" {
		t.Errorf("%s: %v, by %q", kind, err, sig.Peer)
	}
	if sig, err = keys.ParseSSHSIG(build(counter + 1)); err != nil || sig.Verify("file", bytes.NewReader(message)) == nil {
		t.Errorf("another counter is accepted, %v", err)
	}
	if err := keys.VerifySSHSIG(signer.PublicKey(), "file", message, build(counter)); !errors.Is(err, keys.ErrSignature) {
		t.Errorf("a security key passes for a device key: %v", err)
	}
}

func sum(b []byte) string { s := sha256.Sum256(b); return string(s[:]) }

// TestGitVerifies makes a signed commit and lets git check it.
func TestGitVerifies(t *testing.T) {
	dir := t.TempDir()
	signer := keystest.Signer(1)
	id, err := peer.FromPublicKey(signer.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}
	run(t, env, "git", "init", "-q", dir)
	tree := strings.TrimSpace(run(t, env, "git", "-C", dir, "hash-object", "-w", "-t", "tree", "/dev/null"))
	head := "tree " + tree + "\nauthor A <a@example.org> 1700000000 +0000\ncommitter A <a@example.org> 1700000000 +0000\n"
	sig, err := keys.SignSSHSIG(t.Context(), signer, "git", []byte(head+"\nhello\n"))
	if err != nil {
		t.Fatal(err)
	}
	header := "gpgsig " + strings.ReplaceAll(strings.TrimSpace(string(sig)), "\n", "\n ") + "\n"
	commit := writeFile(t, "commit", head+header+"\nhello\n")
	oid := strings.TrimSpace(run(t, env, "git", "-C", dir, "hash-object", "-w", "-t", "commit", commit))
	allowed := writeFile(t, "allowed", "a@example.org "+id.SSHKey()+"\n")
	run(t, env, "git", "-C", dir, "-c", "gpg.ssh.allowedSignersFile="+allowed, "verify-commit", oid)
}

func FuzzParseSSHSIG(f *testing.F) {
	signer := keystest.Signer(1)
	good, err := keys.SignSSHSIG(f.Context(), signer, "file", message)
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode(good)
	f.Add(block.Bytes)
	f.Add([]byte("SSHSIG"))
	f.Fuzz(func(t *testing.T, body []byte) {
		sig, err := keys.ParseSSHSIG(pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: body}))
		if err != nil {
			return
		}
		sig.Fingerprint()
		if sig.Verify(sig.Namespace, bytes.NewReader(message)) == nil && bytes.Equal(sig.Peer.PublicKey(), signer.PublicKey()) && !bytes.Equal(body, block.Bytes) {
			t.Fatalf("a second signature by the key: %x", body)
		}
	})
}
