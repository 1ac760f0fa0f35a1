package keys_test

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

func records(t *testing.T, l *keys.AuditLog) []keys.AuditRecord {
	t.Helper()
	var all []keys.AuditRecord
	for r, err := range l.Records() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestAudited(t *testing.T) {
	log := &keys.AuditLog{Path: filepath.Join(t.TempDir(), "state", "audit.log")}
	id, _ := peer.FromPublicKey(keystest.Signer(1).PublicKey())
	signer := log.Audited(keystest.Signer(1), "tuf:root", "lnk trust sign")
	before := time.Now()
	if _, err := signer.Sign(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.SignSSHSIG(t.Context(), signer, keys.NamespaceSigRefs, message); err != nil {
		t.Fatal(err)
	}
	got := records(t, log)
	if len(got) != 2 {
		t.Fatalf("the log has %v", got)
	}
	sha512 := strings.Fields(run(t, nil, "sha512sum", writeFile(t, "m", string(message))))[0]
	for i, want := range []keys.AuditRecord{
		{Kind: "tuf:root", Digest: "sha256:" + hex.EncodeToString([]byte(sum(message)))},
		{Kind: "sshsig:lnk-sigrefs", Digest: "sha512:" + sha512},
	} {
		r := got[i]
		if r.Time.Before(before) || r.Time.After(time.Now()) || r.Time.Location() != time.UTC {
			t.Errorf("time is %v", r.Time)
		}
		want.Time, want.Key, want.Caller = r.Time, id, "lnk trust sign"
		if r != want {
			t.Errorf("record %d is %+v, want %+v", i, r, want)
		}
	}
	if info, err := os.Stat(log.Path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
}

// TestNoRecordNoSignature: a signature that cannot be recorded is not released, and one that failed is not recorded.
func TestNoRecordNoSignature(t *testing.T) {
	signer := (&keys.AuditLog{Path: "/dev/null/audit.log"}).Audited(keystest.Signer(1), "", "")
	if sig, err := signer.Sign(t.Context(), message); err == nil || sig != nil {
		t.Errorf("signature %x, %v", sig, err)
	}
	log := &keys.AuditLog{Path: filepath.Join(t.TempDir(), "log")}
	if _, err := log.Audited(failing{keystest.Signer(1)}, "", "").Sign(t.Context(), message); err == nil {
		t.Error("the signer's failure is lost")
	}
	if got := records(t, log); len(got) != 0 {
		t.Errorf("a signature that failed is recorded: %v", got)
	}
}

type failing struct{ keys.Signer }

func (failing) Sign(context.Context, []byte) ([]byte, error) { return nil, errors.New("no") }
