package keys

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"time"

	"github.com/lnk-suite/lnk/services/audit"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
)

// AuditRecord is one line of the audit log: a signature that was made, or the end of what waited for some.
type AuditRecord struct {
	// Time is when, in UTC.
	Time time.Time `json:"time"`
	// Key is which key signed; empty for other than device keys, and where nobody signed.
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

// AuditLog is the log of signatures, usually at profile.Dirs.AuditLog. See [audit.Log] for its fields.
type AuditLog audit.Log[AuditRecord]

// Append stores records: when it returns without error their lines survive a crash.
func (l *AuditLog) Append(records ...AuditRecord) error {
	return (*audit.Log[AuditRecord])(l).Append(records...)
}

// Records yields everything that the log still has, oldest first. Lines that a crash left unfinished are passed over.
func (l *AuditLog) Records() iter.Seq2[AuditRecord, error] {
	return (*audit.Log[AuditRecord])(l).Records()
}

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
