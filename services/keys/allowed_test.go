package keys_test

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

func signed(t testing.TB, signer keys.Signer, namespace string) (*keys.SSHSIG, string) {
	t.Helper()
	armored, err := keys.SignSSHSIG(t.Context(), signer, namespace, message)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := keys.ParseSSHSIG(armored)
	if err != nil {
		t.Fatal(err)
	}
	return sig, string(armored)
}

// TestAllowedSigners asks ssh-keygen the same questions: who may sign as whom, for what, when.
func TestAllowedSigners(t *testing.T) {
	signer := keystest.Signer(1)
	id, _ := peer.FromPublicKey(signer.PublicKey())
	other, _ := peer.FromPublicKey(keystest.Signer(2).PublicKey())
	me := id.SSHKey()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		file, principal string
		ok              bool
	}{
		"plain":              {"me@example.org " + me, "me@example.org", true},
		"comment and blanks": {"# a comment\n\n  me@example.org   " + me + "  a comment of mine\n", "me@example.org", true},
		"another name":       {"me@example.org " + me, "you@example.org", false},
		"another key":        {"me@example.org " + other.SSHKey(), "me@example.org", false},
		"second line":        {"a " + me + "\nb " + me, "b", true},
		"wildcard":           {"*@example.org " + me, "me@example.org", true},
		"question mark":      {"m?@example.org " + me, "me@example.org", true},
		"slash":              {"a*c " + me, "a/b/c", true},
		"bracket":            {"a[b]c " + me, "abc", false},
		"list":               {"a,b,c " + me, "b", true},
		"negated":            {"*@example.org,!me@example.org " + me, "me@example.org", false},
		"quoted":             {`"a b,c d" ` + me, "c d", true},
		"namespace":          {`me namespaces="file" ` + me, "me", true},
		"namespaces":         {`me namespaces="git,file" ` + me, "me", true},
		"namespace pattern":  {`me namespaces="f*" ` + me, "me", true},
		"other namespace":    {`me namespaces="git" ` + me, "me", false},
		"valid":              {`me valid-after="20260101Z",valid-before="20270101120000Z" ` + me, "me", true},
		"not yet":            {`me valid-after="20260401Z" ` + me, "me", false},
		"no more":            {`me namespaces="file",valid-before="202602010000Z" ` + me, "me", false},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := keys.ReadAllowedSigners(strings.NewReader(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			sig, armored := signed(t, signer, "file")
			got, err := list.Find(sig, tt.principal, at)
			if (err == nil) != tt.ok || tt.ok && got != tt.principal || !tt.ok && !errors.Is(err, keys.ErrSignature) {
				t.Errorf("we say %q, %v; want %v", got, err, tt.ok)
			}
			var written strings.Builder
			for _, a := range list {
				written.WriteString(a.String() + "\n")
			}
			for _, file := range []string{tt.file, written.String()} {
				cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", writeFile(t, "allowed", file), "-I", tt.principal, "-n", "file",
					"-s", writeFile(t, "sig", armored), "-O", "verify-time=20260301120000Z")
				cmd.Stdin = bytes.NewReader(message)
				if out, err := cmd.CombinedOutput(); (err == nil) != tt.ok {
					t.Errorf("ssh-keygen with %s says %v: %s; want %v", file, err, out, tt.ok)
				}
			}
		})
	}
}

func TestAllowedSignersAnyName(t *testing.T) {
	signer := keystest.Signer(1)
	id, _ := peer.FromPublicKey(signer.PublicKey())
	list := keys.AllowedSigners{keys.NewAllowedSigner(id, "laptop", "me@example.org", "me")}
	sig, _ := signed(t, signer, "file")
	if got, err := list.Find(sig, "", time.Now()); err != nil || got != "me@example.org" || list[0].Peer() != id {
		t.Errorf("found %q, %v", got, err)
	}
	if want := "me@example.org,me " + id.SSHKey() + " laptop"; list[0].String() != want {
		t.Errorf("the line is %q, want %q", list[0], want)
	}
}

func TestAllowedSignersRefuses(t *testing.T) {
	id, _ := peer.FromPublicKey(keystest.Signer(1).PublicKey())
	for _, line := range []string{"me", "me ssh-ed25519", "me ssh-ed25519 AAAA", `"me ` + id.SSHKey(), "me cert-authority " + id.SSHKey(),
		`me valid-after="soon" ` + id.SSHKey(), `me no-such-option ` + id.SSHKey(), strings.Repeat("x", 1<<20)} {
		if list, err := keys.ReadAllowedSigners(strings.NewReader("# first\n" + line)); err == nil {
			t.Errorf("%.60s: read as %v", line, list)
		}
	}
}

func FuzzReadAllowedSigners(f *testing.F) {
	id, _ := peer.FromPublicKey(keystest.Signer(1).PublicKey())
	f.Add(`"a b",c namespaces="git,file",valid-before="20270101Z" ` + id.SSHKey() + " comment")
	f.Add("* " + id.SSHKey())
	f.Fuzz(func(t *testing.T, text string) {
		list, err := keys.ReadAllowedSigners(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, a := range list {
			again, err := keys.ReadAllowedSigners(strings.NewReader(a.String()))
			if err != nil || len(again) != 1 || again[0].String() != a.String() {
				t.Fatalf("%q is written as %q, which reads as %v, %v", text, a, again, err)
			}
		}
	})
}
