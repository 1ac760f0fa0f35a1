package keys_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// TestAuditRotates appends from many goroutines, each with its own AuditLog as other processes would have, with a
// small limit: every record is there once and no file is larger.
func TestAuditRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	const writers, each, limit = 4, 10, 2000
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			log := &keys.AuditLog{Path: path, MaxSize: limit}
			for i := range each {
				if err := log.Append(keys.AuditRecord{Time: time.Now().UTC(), Kind: "k", Caller: fmt.Sprintf("%d/%d", w, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	seen := map[string]int{}
	for _, r := range records(t, &keys.AuditLog{Path: path}) {
		seen[r.Caller]++
	}
	for w := range writers {
		for i := range each {
			if n := seen[fmt.Sprintf("%d/%d", w, i)]; n != 1 {
				t.Errorf("record %d/%d is there %d times", w, i, n)
			}
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Errorf("nothing was set aside: %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() > limit || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
}

// TestAuditAfterCrash: an unfinished line costs only itself.
func TestAuditAfterCrash(t *testing.T) {
	log := &keys.AuditLog{Path: filepath.Join(t.TempDir(), "audit.log")}
	for i, junk := range []string{"", `{"time":"2026-01`, ""} {
		f, err := os.OpenFile(log.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(junk); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if err := log.Append(keys.AuditRecord{Caller: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	got := records(t, log)
	if len(got) != 3 || got[0].Caller != "0" || got[2].Caller != "2" {
		t.Errorf("the log has %v", got)
	}
}
