package token

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/audit"
	"github.com/lnk-suite/lnk/services/profile"
)

// maxTokens is how many tokens there may be at a time. Those that are of no use any more do not count.
const maxTokens = 1000

// Store is the tokens of a user. Any number of processes may use it at once.
type Store struct {
	dir string
	log *audit.Log[Event]
	now func() moment
}

// Open returns the user's store. It does no I/O: the folder is made when the first token is issued.
func Open(dirs profile.Dirs) *Store {
	return &Store{dir: dirs.Tokens(), log: &audit.Log[Event]{Path: dirs.TokenLog()}, now: now}
}

// Order says what a token is to be good for.
type Order struct {
	// Methods are the methods that it permits, 1 to 32.
	Methods Patterns
	// TTL is for how long, from a second to 30 days; 0 is 5 minutes if Uses is set.
	TTL time.Duration
	// Uses is how often, up to 10,000; 0 is any number of times, and TTL must then be set.
	Uses int
	// Caller says for the log who asks.
	Caller string
}

const usualTTL = 5 * time.Minute

// complete fills in what may be left out, or says what is wrong; the error is ipc.BadRequest.
func (o Order) complete() (Order, error) {
	if o.TTL == 0 && o.Uses != 0 {
		o.TTL = usualTTL
	}
	switch {
	case len(o.Methods) == 0:
		return o, ipc.Errorf(ipc.BadRequest, "a token must permit at least one method").WithHint("name them with --method, e.g. --method 'trust.*'")
	case o.TTL == 0 && o.Uses == 0:
		return o, ipc.Errorf(ipc.BadRequest, "a token must end some time").WithHint("say for how long it is good (--ttl 5m), how often (--uses 1), or both")
	case o.TTL < minTTL || o.TTL > maxTTL:
		return o, ipc.Errorf(ipc.BadRequest, "a token cannot be good for %s: it can be from %s to %s", o.TTL, minTTL, maxTTL)
	case o.Uses < 0 || o.Uses > maxUses:
		return o, ipc.Errorf(ipc.BadRequest, "a token cannot be good for %d uses: it can be from 1 to %d", o.Uses, maxUses)
	}
	return o, o.Methods.check()
}

// Issue makes a token and returns its text, which is stored nowhere. With a thousand tokens in force the error is
// ipc.ResourceExhausted.
func (s *Store) Issue(ctx context.Context, o Order) (Token, string, error) {
	o, err := o.complete()
	if err != nil {
		return Token{}, "", err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return Token{}, "", err
	}
	turn, err := s.turn(ctx)
	if err != nil {
		return Token{}, "", err
	}
	defer turn.Close()
	left, err := s.sweep(ctx)
	if err != nil {
		return Token{}, "", err
	}
	if left >= maxTokens {
		return Token{}, "", ipc.Errorf(ipc.ResourceExhausted, "there are %d tokens already", left).WithHint("lnk token revoke")
	}
	c, at := newCredential(), s.now()
	hash := c.hash()
	r := record{Format: recordFormat, Hash: hex.EncodeToString(hash[:]), Methods: o.Methods, Uses: o.Uses, lifetime: at.lifetime(o.TTL)}
	data, err := r.encode()
	if err != nil {
		return Token{}, "", err
	}
	if err := s.record(Event{Event: issued, Token: c.id, Method: strings.Join(o.Methods, " "), Caller: o.Caller, Detail: r.terms()}); err != nil {
		return Token{}, "", err
	}
	if err := profile.CreateFile(s.path(c.id), data, 0o600); err != nil {
		return Token{}, "", err
	}
	return r.token(c.id), c.text(), nil
}

// terms says in words for how long and how often.
func (r record) terms() string {
	until := "until " + r.Expires.Format(time.RFC3339)
	if r.Uses == 0 {
		return until
	}
	return until + ", " + times(r.Uses)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// turn locks the folder for whoever issues: so that the number of tokens is right, and unfinished files are nobody's.
func (s *Store) turn(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := profile.Lock(ctx, f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (s *Store) path(id ID) string { return filepath.Join(s.dir, string(id)) }

// ids lists the tokens there are, and what a crash left of others.
func (s *Store) ids() (ids []ID, debris []string, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, e := range entries {
		if id := ID(e.Name()); id.valid() {
			ids = append(ids, id)
		} else if strings.HasPrefix(e.Name(), ".tmp-") {
			debris = append(debris, filepath.Join(s.dir, e.Name()))
		}
	}
	return ids, debris, nil
}

// sweep removes what is of no use any more and returns how many tokens are left. The turn is held.
func (s *Store) sweep(ctx context.Context) (left int, err error) {
	ids, debris, err := s.ids()
	if err != nil {
		return 0, err
	}
	for _, path := range debris {
		if err := os.Remove(path); err != nil {
			return 0, err
		}
	}
	at := s.now()
	for _, id := range ids {
		err := s.with(ctx, id, func(f *file) error {
			if f.record.ended(at) || f.record.isSpent() {
				return os.Remove(f.Name())
			}
			left++
			return nil
		})
		switch {
		case ctx.Err() != nil:
			return left, ctx.Err()
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			left++ // a file that cannot be read takes up room until somebody revokes it
		}
	}
	return left, nil
}

// with runs f with a token's file, alone.
func (s *Store) with(ctx context.Context, id ID, f func(*file) error) error {
	file, err := openFile(ctx, s.path(id))
	if err != nil {
		return err
	}
	return errors.Join(f(file), file.Close())
}

// Why a token is refused. Each is in the chain of an *ipc.Error with the code ipc.PermissionDenied.
var (
	ErrMissing = errors.New("a token is demanded")
	ErrInvalid = errors.New("the token is not valid, or was revoked")
	ErrExpired = errors.New("the token has expired")
	ErrSpent   = errors.New("the token has no use left")
	ErrScope   = errors.New("the token does not permit this method")
)

// Check reports whether the token with that text permits the method now. It spends nothing.
func (s *Store) Check(ctx context.Context, text []byte, method string) error {
	return s.use(ctx, text, method, func(credential, *file) error { return nil })
}

// Spend is Check and takes one use. When it returns without error the use is spent for good, whatever happens next, and
// its line is in the log; the method may then run once.
func (s *Store) Spend(ctx context.Context, text []byte, method, caller string) error {
	return s.use(ctx, text, method, func(c credential, f *file) error {
		if err := f.spend(); err != nil {
			return fmt.Errorf("cannot spend a use of the token: %w", err)
		}
		return s.record(Event{Event: used, Token: c.id, Method: method, Caller: caller, Detail: f.record.remaining()})
	})
}

// remaining says in words how many uses are left.
func (r record) remaining() string {
	if r.Uses == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d uses left", r.Uses-r.spent, r.Uses)
}

// use runs f with the token's file if it permits the method.
func (s *Store) use(ctx context.Context, text []byte, method string, f func(credential, *file) error) error {
	if len(text) == 0 {
		return ErrMissing
	}
	c, ok := parse(text)
	if !ok {
		return ErrInvalid
	}
	err := s.with(ctx, c.id, func(file *file) error {
		if err := file.record.permits(c, method, s.now()); err != nil {
			return err
		}
		return f(c, file)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return ErrInvalid
	}
	return err
}

// permits says nothing about a token to whoever does not know its secret.
func (r record) permits(c credential, method string, at moment) error {
	hash := c.hash()
	stored, err := hex.DecodeString(r.Hash)
	switch {
	case err != nil || subtle.ConstantTimeCompare(stored, hash[:]) != 1:
		return ErrInvalid
	case r.ended(at):
		return ErrExpired
	case !r.Methods.Cover(method):
		return ErrScope
	case r.isSpent():
		return ErrSpent
	}
	return nil
}

// List returns the tokens that are good for something, sorted by when they were issued. One that cannot be read does not
// hide the others: they are returned beside the error.
func (s *Store) List(ctx context.Context) ([]Token, error) {
	ids, _, err := s.ids()
	list, at := []Token{}, s.now()
	for _, id := range ids {
		broken := s.with(ctx, id, func(f *file) error {
			if !f.record.ended(at) && !f.record.isSpent() {
				list = append(list, f.record.token(id))
			}
			return nil
		})
		if broken != nil && !errors.Is(broken, fs.ErrNotExist) {
			err = errors.Join(err, broken)
		}
	}
	slices.SortFunc(list, func(a, b Token) int { return a.Issued.Compare(b.Issued) })
	return list, err
}

// Revoke ends a token: once it has returned, no use of it begins. If there is none with that id the error is ipc.NotFound.
func (s *Store) Revoke(ctx context.Context, id ID, caller string) error {
	if !id.valid() {
		return ipc.Errorf(ipc.BadRequest, "%.80q is no id of a token", id).WithHint("lnk token list")
	}
	err := s.remove(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		return ipc.Errorf(ipc.NotFound, "there is no token %s", id).WithHint("lnk token list")
	}
	if err != nil {
		return err
	}
	return s.record(Event{Event: revoked, Token: id, Caller: caller})
}

// remove takes its turn, so that it is not in the middle of a use; unless the file cannot be read, which nobody uses.
func (s *Store) remove(ctx context.Context, id ID) error {
	f, err := openFile(ctx, s.path(id))
	switch {
	case err == nil:
		defer f.Close()
	case errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil:
		return err
	}
	if err := os.Remove(s.path(id)); err != nil {
		return err
	}
	return profile.SyncDir(s.dir)
}

// RevokeAll ends every token and returns their ids.
func (s *Store) RevokeAll(ctx context.Context, caller string) (ended []ID, err error) {
	ids, _, err := s.ids()
	for _, id := range ids {
		one := s.Revoke(ctx, id, caller)
		switch {
		case one == nil:
			ended = append(ended, id)
		case !errors.Is(one, ipc.NotFound):
			err = errors.Join(err, one)
		}
	}
	return ended, err
}
