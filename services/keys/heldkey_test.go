package keys_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// TestOtherKeys has keys of every kind that ssh-keygen makes sign through a real agent; ssh-keygen and we verify.
func TestOtherKeys(t *testing.T) {
	held := keystest.Agent(t)
	dir := t.TempDir()
	log := &keys.AuditLog{Path: filepath.Join(dir, "audit.log")}
	for _, kind := range []string{"ed25519", "rsa", "ecdsa"} {
		file := filepath.Join(dir, kind)
		run(t, nil, "ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file)
		run(t, []string{"SSH_AUTH_SOCK=" + held.Path}, "ssh-add", "-q", file)
		line, err := os.ReadFile(file + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		byLine, err := held.Key(t.Context(), string(line))
		if err != nil {
			t.Fatal(err)
		}
		key, err := held.Key(t.Context(), byLine.Fingerprint())
		if err != nil {
			t.Fatal(err)
		}
		armored, err := key.Audited(log, "test").SignSSHSIG(t.Context(), "file", bytes.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := keys.ParseSSHSIG(armored)
		if err != nil || sig.Verify("file", bytes.NewReader(message)) != nil || sig.Fingerprint() != key.Fingerprint() {
			t.Errorf("%s: %v", kind, err)
		}
		allowed, signature := writeFile(t, "allowed", "me "+string(line)), writeFile(t, "sig", string(armored))
		run(t, nil, "sh", "-c", "ssh-keygen -Y verify -f '"+allowed+"' -I me -n file -s '"+signature+"' < '"+writeFile(t, "m", string(message))+"'")
	}
	if got := records(t, log); len(got) != 3 || got[0].Key == "" || got[0].Fingerprint != "" || got[1].Key != "" || !strings.HasPrefix(got[1].Fingerprint, "SHA256:") || got[1].Kind != "sshsig:file" {
		t.Errorf("the log has %v", got)
	}
	_, err := held.Key(t.Context(), "SHA256:nobody")
	wantCause(t, err, "does not hold key SHA256:nobody")
	if _, err := held.Key(t.Context(), "nobody"); !errors.Is(err, ipc.BadRequest) {
		t.Errorf("no notation of a key: %v", err)
	}
	failing := &keys.AuditLog{Path: "/dev/null/log"}
	key, err := held.Key(t.Context(), string(records(t, log)[0].Key))
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := key.Audited(failing, "").SignSSHSIG(t.Context(), "file", bytes.NewReader(message)); err == nil || sig != nil {
		t.Errorf("a signature that cannot be recorded: %s, %v", sig, err)
	}
}

// securityKey is an agent with one security key in it, as it signs when somebody touches it: no machine of ours has one.
type securityKey struct {
	agent.Agent
	key   keys.Signer
	flags byte
}

const skType = "sk-ssh-ed25519@openssh.com"

func (k *securityKey) blob() []byte {
	return ssh.Marshal(struct{ Type, Key, Application string }{skType, string(k.key.PublicKey()), "ssh:"})
}

func (k *securityKey) List() ([]*agent.Key, error) {
	return []*agent.Key{{Format: skType, Blob: k.blob(), Comment: "a security key"}}, nil
}

func (k *securityKey) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	if !bytes.Equal(key.Marshal(), k.blob()) {
		return nil, errors.New("another key")
	}
	touch := struct {
		Flags   byte
		Counter uint32
	}{k.flags, 42}
	raw, err := k.key.Sign(context.Background(), ssh.Marshal(struct {
		Application [32]byte
		Flags       byte
		Counter     uint32
		Digest      [32]byte
	}{sha256.Sum256([]byte("ssh:")), touch.Flags, touch.Counter, sha256.Sum256(data)}))
	return &ssh.Signature{Format: skType, Blob: raw, Rest: ssh.Marshal(touch)}, err
}

// TestSecurityKeySigns: good for files and for requests, recognised by ssh-keygen, too; refused as a device key.
func TestSecurityKeySigns(t *testing.T) {
	hardware := &securityKey{Agent: agent.NewKeyring(), key: keystest.Signer(7), flags: 1}
	held := fakeAgent(t, func(c net.Conn) { agent.ServeAgent(hardware, c) })
	list, err := held.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Type != skType || list[0].Peer != "" {
		t.Fatalf("the agent holds %v, %v", list, err)
	}
	key, err := held.Key(t.Context(), list[0].Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	line := skType + " " + base64.StdEncoding.EncodeToString(hardware.blob())
	allowed, err := keys.ReadAllowedSigners(strings.NewReader(`me namespaces="lnk-auth,file" ` + line + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{"lnk-auth", "file"} {
		armored, err := key.SignSSHSIG(t.Context(), namespace, bytes.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := keys.ParseSSHSIG(armored)
		if err != nil || sig.Verify(namespace, bytes.NewReader(message)) != nil {
			t.Errorf("%s: %v", namespace, err)
		}
		if who, err := allowed.Find(sig, "me", time.Now()); err != nil || who != "me" {
			t.Errorf("%s: %q, %v", namespace, who, err)
		}
		run(t, nil, "sh", "-c", "ssh-keygen -Y verify -f '"+writeFile(t, "a", "me "+line+"\n")+"' -I me -n "+namespace+" -s '"+writeFile(t, "s", string(armored))+"' < '"+writeFile(t, "m", string(message))+"'")
	}
	hardware.flags = 0
	_, err = key.SignSSHSIG(t.Context(), "file", bytes.NewReader(message))
	wantCause(t, err, "is not by key "+key.Fingerprint()) // nobody touched it
}
