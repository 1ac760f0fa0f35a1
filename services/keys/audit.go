package keys

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"golang.org/x/crypto/ssh"
)

// AuditRecord is one line of the audit log: a signature that was made.
type AuditRecord struct {
	// Time is when, in UTC.
	Time time.Time `json:"time"`
	// Key is which key signed; empty for other than device keys.
	Key peer.ID `json:"key,omitempty"`
	// Fingerprint names a key that is no device key.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Kind is what the signature is for: "sshsig:" and the namespace, or what the caller of Audited said.
	Kind string `json:"kind"`
	// Digest is the algorithm and hex hash of the message, as SSHSIG hashed it, else its SHA-256.
	Digest string `json:"digest"`
	// Caller is for whom: a program and what it was asked to do.
	Caller string `json:"caller"`
}

// AuditLog is an append-only file with a JSON object per line. Any number of processes may append to it.
type AuditLog struct {
	// Path is the file, usually profile.Dirs.AuditLog; its folder is made if it is missing.
	Path string
	// MaxSize is the size in bytes beyond which the file is set aside as Path.1, older ones as Path.2 and so on up to
	// nine. 0 means 8 MiB, about 30,000 signatures.
	MaxSize int64
}

const (
	defaultAuditSize = 8 << 20
	keptAuditLogs    = 9
)

// Audited returns a signer that records each signature before it hands it out: if the line cannot be stored for good,
// there is no signature. kind says what raw signatures are for; SSHSIG ones say it themselves.
func (l *AuditLog) Audited(s Signer, kind, caller string) Signer {
	return audited{s, l, kind, caller}
}

type audited struct {
	Signer
	log          *AuditLog
	kind, caller string
}

// Sign signs and records.
func (a audited) Sign(ctx context.Context, msg []byte) ([]byte, error) {
	sig, err := a.Signer.Sign(ctx, msg)
	if err != nil {
		return nil, err
	}
	id, err := peer.FromPublicKey(a.PublicKey())
	if err == nil {
		err = a.log.record(AuditRecord{Key: id, Caller: a.caller}, msg, a.kind)
	}
	if err != nil {
		return nil, err
	}
	return sig, nil
}

// record completes and stores the record of a signature over msg.
func (l *AuditLog) record(r AuditRecord, msg []byte, kind string) error {
	r.Time = time.Now().UTC()
	r.Kind, r.Digest = describeSigned(msg, kind)
	if err := l.Append(r); err != nil {
		return fmt.Errorf("cannot record a signature, so it was not used: %w", err)
	}
	return nil
}

// describeSigned says what is signed. What looks like SSHSIG is nothing else: no other protocol starts so.
func describeSigned(msg []byte, raw string) (kind, digest string) {
	var blob struct {
		Namespace, Reserved, Hash string
		Digest                    []byte
	}
	if body, ok := bytes.CutPrefix(msg, []byte(sshsigMagic)); ok && ssh.Unmarshal(body, &blob) == nil {
		return "sshsig:" + blob.Namespace, blob.Hash + ":" + hex.EncodeToString(blob.Digest)
	}
	sum := sha256.Sum256(msg)
	return raw, "sha256:" + hex.EncodeToString(sum[:])
}

// Append stores records: when it returns without error their lines survive a crash.
func (l *AuditLog) Append(records ...AuditRecord) error {
	if len(records) == 0 {
		return nil
	}
	line, err := joinLines(records)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.Path), 0o700); err != nil {
		return err
	}
	f, isNew, err := l.open(int64(len(line) + 1))
	if err != nil {
		return err
	}
	if err := errors.Join(appendLine(f, line), f.Close()); err != nil || !isNew {
		return err
	}
	return profile.SyncDir(filepath.Dir(l.Path))
}

// joinLines returns the lines without the last newline.
func joinLines(records []AuditRecord) ([]byte, error) {
	lines := make([][]byte, 0, len(records))
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return bytes.Join(lines, []byte{'\n'}), nil
}

// appendLine writes in one call, so that even a reader without the lock sees whole lines. What a crash or a full disk
// left unfinished is ended first, and what cannot be written whole is taken back.
func appendLine(f *os.File, line []byte) error {
	size, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	last := []byte{'\n'}
	if size > 0 {
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := f.Write(line); err != nil {
		return errors.Join(err, f.Truncate(size))
	}
	return f.Sync()
}

// open returns the file, locked until it is closed, with room for n more bytes, and whether nothing is in it yet.
func (l *AuditLog) open(n int64) (f *os.File, isNew bool, err error) {
	limit := l.MaxSize
	if limit == 0 {
		limit = defaultAuditSize
	}
	for {
		f, err = os.OpenFile(l.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
		if err != nil {
			return nil, false, err
		}
		info, current, err := lock(f, l.Path)
		switch {
		case err != nil:
			f.Close()
			return nil, false, err
		case !current: // Somebody set the file aside while we waited for the lock.
		case info.Size() == 0 || info.Size()+n <= limit:
			return f, info.Size() == 0, nil
		default:
			if err := l.rotate(); err != nil {
				f.Close()
				return nil, false, err
			}
		}
		f.Close()
	}
}

// lock waits for the file and reports whether it is still the one at path.
func lock(f *os.File, path string) (info os.FileInfo, current bool, err error) {
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return nil, false, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, false, err
	}
	there, err := os.Stat(path)
	return info, err == nil && os.SameFile(info, there), nil
}

// rotate moves each file to the next number, the oldest out. The lock is held.
func (l *AuditLog) rotate() error {
	for i := keptAuditLogs - 1; i >= 0; i-- {
		if err := os.Rename(l.name(i), l.name(i+1)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// name is the file that was set aside n rotations ago.
func (l *AuditLog) name(n int) string {
	if n == 0 {
		return l.Path
	}
	return l.Path + "." + strconv.Itoa(n)
}
