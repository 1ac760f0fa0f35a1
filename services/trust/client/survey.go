package client

import (
	"context"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/trust"
)

// Report says what a client finds in a repository.
type Report struct {
	Roles   []RoleReport // those that are right, in the order in which a client reads them
	Targets int          // how many were fetched and are right
	Faults  []error      // what is wrong, with roles and with targets
}

// RoleReport is about the current document of one role.
type RoleReport struct {
	Role      string // quoted if it has more than what can be printed
	Version   int64
	Expires   time.Time
	Threshold int
	Signers   []Signer // whose signatures count
	Unsigned  int      // keys of the role that have not signed
}

// Signer is a key that has signed.
type Signer struct {
	KeyID string  // quoted like Role
	Peer  peer.ID // empty if it is no Ed25519 key
	Name  string  // what the document that names the key calls its holder, if anything
}

// Survey refreshes the metadata, reads every role and fetches every target, or those that are named, without keeping them.
// It goes on after what is wrong where a client could. The error is that of ctx alone.
func (c *Client) Survey(ctx context.Context, from Source, names []string) (Report, error) {
	s := survey{client: c, from: from}
	s.top(ctx)
	if c.snapshot == nil || len(s.Faults) > 0 {
		return s.Report, ctx.Err()
	}
	all := s.walk(ctx)
	if len(names) == 0 {
		names = all
	}
	for _, name := range names {
		s.fetch(ctx, name)
		if ctx.Err() != nil {
			break
		}
	}
	return s.Report, ctx.Err()
}

type survey struct {
	Report
	client *Client
	from   Source
}

// top refreshes the top-level roles and tells of those that it got to.
func (s *survey) top(ctx context.Context) {
	err := s.client.Refresh(ctx)
	c := s.client
	s.role(c.root.roles[trust.RoleRoot], trust.RoleRoot, c.root.document)
	if c.timestamp != nil {
		s.role(c.root.roles[trust.RoleTimestamp], trust.RoleTimestamp, c.timestamp.document)
	}
	if c.snapshot != nil {
		s.role(c.root.roles[trust.RoleSnapshot], trust.RoleSnapshot, c.snapshot.document)
	}
	if err != nil {
		s.Faults = append(s.Faults, err)
	}
}

func (s *survey) role(r role, name string, d *document) {
	signers, _ := r.signers(d)
	report := RoleReport{Role: plain(name), Version: d.version, Expires: d.expires, Threshold: r.threshold, Unsigned: len(r.keys) - len(signers)}
	for _, k := range signers {
		report.Signers = append(report.Signers, Signer{plain(k.id), k.peer, k.name})
	}
	s.Roles = append(s.Roles, report)
}

// walk reads targets and every role below it, each for the first who delegates to it, and returns the paths of all targets.
func (s *survey) walk(ctx context.Context) []string {
	paths := map[string]bool{}
	seen := map[string]bool{}
	for waiting := []delegation{s.client.top()}; len(waiting) > 0 && ctx.Err() == nil; {
		d := waiting[0]
		waiting = waiting[1:]
		if seen[d.name] {
			continue
		}
		seen[d.name] = true
		t, err := s.client.load(ctx, d)
		if err != nil {
			s.Faults = append(s.Faults, err)
			continue
		}
		s.role(d.role, d.name, t.document)
		for path := range t.files {
			paths[path] = true
		}
		waiting = append(waiting, s.below(t)...)
	}
	return slices.Sorted(maps.Keys(paths))
}

// below lists the roles that t delegates to. Of bins these are the ones that the snapshot has.
func (s *survey) below(t *targets) []delegation {
	if t.bins == nil {
		return t.roles
	}
	var some []delegation
	for _, name := range slices.Sorted(maps.Keys(s.client.snapshot.files)) {
		text, _ := strings.CutPrefix(name, t.bins.Prefix+"-")
		i, err := strconv.ParseUint(text, 16, t.bins.Bits)
		if d := t.bin(int(i)); err == nil && d.name == name {
			some = append(some, d)
		}
	}
	return some
}

func (s *survey) fetch(ctx context.Context, name string) {
	target, err := s.client.Find(ctx, name)
	if err == nil {
		err = s.discard(ctx, name, target)
	}
	if err != nil {
		s.Faults = append(s.Faults, about(name, err))
		return
	}
	s.Targets++
}

func (s *survey) discard(ctx context.Context, name string, target trust.Target) error {
	r, err := s.client.openTarget(ctx, s.from, name, target)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}
