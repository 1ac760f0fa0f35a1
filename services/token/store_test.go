package token

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
)

// testDirs are folders of this test alone.
func testDirs(t testing.TB) profile.Dirs {
	t.Helper()
	home := t.TempDir()
	dirs, err := profile.NewDirs(func(name string) string {
		if name == "LNK_HOME" {
			return home
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// testStore is a store whose clocks stand still until somebody moves them.
func testStore(t testing.TB) (*Store, *moment) {
	s := Open(testDirs(t))
	at := &moment{wall: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), boot: "one", up: time.Hour}
	s.now = func() moment { return *at }
	return s, at
}

func issue(t testing.TB, s *Store, o Order) (Token, []byte) {
	t.Helper()
	info, text, err := s.Issue(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return info, []byte(text)
}

func events(t testing.TB, s *Store) []Event {
	t.Helper()
	var list []Event
	for e, err := range s.Events() {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

func TestSpend(t *testing.T) {
	ctx := t.Context()
	s, at := testStore(t)
	info, text := issue(t, s, Order{Methods: Patterns{"git.*", "trust.sign"}, Uses: 3, Caller: "me"})
	if info.Uses != 3 || *info.Left != 3 || info.Expires.Sub(info.Issued) != usualTTL || info.Issued != at.wall {
		t.Errorf("issued %+v", info)
	}
	other, _ := issue(t, s, Order{Methods: Patterns{"git.*"}, Uses: 1})
	forged := bytes.Replace(text, []byte(info.ID), []byte(other.ID), 1)
	for _, c := range []struct {
		text   []byte
		method string
		want   error
	}{
		{text, "git.refs", nil},
		{text, "trust.show", ErrScope},
		{nil, "git.refs", ErrMissing},
		{[]byte("lnk_"), "git.refs", ErrInvalid},
		{append(bytes.Clone(text), '\n'), "git.refs", ErrInvalid},
		{bytes.ToUpper(text), "git.refs", ErrInvalid},
		{forged, "git.refs", ErrInvalid},
		{forged, "trust.show", ErrInvalid}, // not even what it permits is told
		{[]byte(newCredential().text()), "git.refs", ErrInvalid},
		{text, "trust.sign", nil},
		{text, "git.refs.more", nil},
		{text, "git.refs", ErrSpent},
		{text, "trust.show", ErrScope},
	} {
		if err := s.Check(ctx, c.text, c.method); !errors.Is(err, c.want) {
			t.Errorf("checking %.30q for %s: %v, want %v", c.text, c.method, err, c.want)
		}
		if err := s.Spend(ctx, c.text, c.method, "me"); !errors.Is(err, c.want) {
			t.Errorf("spending %.30q for %s: %v, want %v", c.text, c.method, err, c.want)
		}
	}
	list, err := s.List(ctx)
	if err != nil || len(list) != 1 || list[0].ID != other.ID || *list[0].Left != 1 {
		t.Errorf("left are %+v, %v", list, err)
	}
	want := "issued used used used"
	got := []string{}
	for _, e := range events(t, s) {
		if e.Token == info.ID {
			got = append(got, e.Event)
		}
	}
	if strings.Join(got, " ") != want {
		t.Errorf("the log has %v, want %s", got, want)
	}
}

// TestNothingSecretIsStored: neither the text nor the secret is in any file.
func TestNothingSecretIsStored(t *testing.T) {
	dirs := testDirs(t)
	s := Open(dirs)
	_, text := issue(t, s, Order{Methods: Patterns{"git.*"}, Uses: 2})
	if err := s.Spend(t.Context(), text, "git.refs", "me"); err != nil {
		t.Fatal(err)
	}
	c, _ := parse(text)
	files := 0
	err := filepath.WalkDir(filepath.Dir(dirs.State), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if bytes.Contains(data, text[len(text)-64:]) || bytes.Contains(data, c.secret[:]) {
			t.Errorf("%s has the secret", path)
		}
		if info, statErr := e.Info(); statErr != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), statErr)
		}
		return err
	})
	if err != nil || files != 3 { // the token, the lock, the log
		t.Errorf("%d files, %v", files, err)
	}
}

// TestEnd: a token ends by whichever clock is first, and what sets one of them back does not revive it.
func TestEnd(t *testing.T) {
	start := moment{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "one", time.Hour}
	life := start.lifetime(time.Minute)
	noBoot := moment{wall: start.wall}.lifetime(time.Minute)
	after := func(wall time.Duration, boot string, up time.Duration) moment {
		return moment{start.wall.Add(wall), boot, up}
	}
	for name, test := range map[string]struct {
		life lifetime
		at   moment
		want bool
	}{
		"at once":                                {life, start, false},
		"just before":                            {life, after(time.Minute-1, "one", time.Hour+time.Minute-1), false},
		"on time":                                {life, after(time.Minute, "one", time.Hour+time.Minute), true},
		"the clock was set back":                 {life, after(-time.Hour, "one", time.Hour+time.Minute), true},
		"set back, and not over":                 {life, after(-time.Hour, "one", time.Hour+time.Second), false},
		"the clock was set on":                   {life, after(time.Hour, "one", time.Hour+time.Second), true},
		"the machine was paused":                 {life, after(time.Hour, "one", time.Hour), true},
		"restarted":                              {life, after(30*time.Second, "two", time.Second), false},
		"restarted, and over":                    {life, after(time.Minute, "two", time.Second), true},
		"restarted, and set back":                {life, after(-time.Second, "two", time.Second), true},
		"no boot is known":                       {noBoot, after(time.Second, "", 0), false},
		"no boot is known, and over":             {noBoot, after(time.Minute, "", 0), true},
		"no boot is known, and set back":         {noBoot, after(-time.Second, "", 0), true},
		"another machine without a known boot":   {life, after(time.Second, "", 0), false},
		"a machine that learns its boot later":   {noBoot, after(time.Second, "one", time.Hour), false},
		"learns its boot later, and is set back": {noBoot, after(-time.Second, "one", time.Hour), true},
	} {
		if got := test.life.ended(test.at); got != test.want {
			t.Errorf("%s: ended is %v", name, got)
		}
	}
}

// TestClocks: the real clocks go on, and this machine knows which start of it this is.
func TestClocks(t *testing.T) {
	a := now()
	b := now()
	if a.boot == "" || a.boot != b.boot || b.up < a.up || a.up <= 0 || b.wall.Before(a.wall) {
		t.Errorf("%+v, then %+v", a, b)
	}
}

func TestExpiry(t *testing.T) {
	ctx := t.Context()
	s, at := testStore(t)
	_, text := issue(t, s, Order{Methods: Patterns{"git.*"}, TTL: time.Minute})
	for range 20 { // any number of times
		if err := s.Spend(ctx, text, "git.refs", ""); err != nil {
			t.Fatal(err)
		}
	}
	at.up += time.Minute
	for range 2 {
		if err := s.Spend(ctx, text, "git.refs", ""); !errors.Is(err, ErrExpired) {
			t.Errorf("after its time: %v", err)
		}
		at.wall = at.wall.Add(-time.Hour) // the clock is set back
	}
	if list, err := s.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("listed are %v, %v", list, err)
	}
}

// TestSweep: what is of no use any more is removed when the next token is issued, and so is what a crash left.
func TestSweep(t *testing.T) {
	ctx := t.Context()
	s, at := testStore(t)
	old, _ := issue(t, s, Order{Methods: Patterns{"git.*"}, TTL: time.Minute})
	spent, text := issue(t, s, Order{Methods: Patterns{"git.*"}, Uses: 1, TTL: time.Hour})
	good, _ := issue(t, s, Order{Methods: Patterns{"git.*"}, TTL: time.Hour})
	if err := s.Spend(ctx, text, "git.refs", ""); err != nil {
		t.Fatal(err)
	}
	debris := filepath.Join(s.dir, ".tmp-123")
	if err := os.WriteFile(debris, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	at.wall, at.up = at.wall.Add(time.Minute), at.up+time.Minute
	issue(t, s, Order{Methods: Patterns{"git.*"}, TTL: time.Hour})
	for path, want := range map[string]bool{s.path(old.ID): false, s.path(spent.ID): false, debris: false, s.path(good.ID): true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := s.Spend(ctx, text, "git.refs", ""); !errors.Is(err, ErrInvalid) {
		t.Errorf("a token that was swept: %v", err)
	}
}

func TestOrders(t *testing.T) {
	s, _ := testStore(t)
	many := make(Patterns, maxPatterns+1)
	for i := range many {
		many[i] = fmt.Sprintf("git.m%d", i)
	}
	git := Patterns{"git.*"}
	for name, o := range map[string]Order{
		"no method": {TTL: time.Minute}, "no end": {Methods: git}, "too long": {Methods: git, TTL: maxTTL + 1}, "too short": {Methods: git, TTL: minTTL - 1},
		"in the past": {Methods: git, TTL: -time.Minute}, "too often": {Methods: git, Uses: maxUses + 1}, "less than never": {Methods: git, TTL: time.Minute, Uses: -1},
		"too many patterns": {Methods: many, Uses: 1}, "everything": {Methods: Patterns{"*"}, Uses: 1},
	} {
		if _, _, err := s.Issue(t.Context(), o); !errors.Is(err, ipc.BadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("a refused order left something")
	}
	for name, o := range map[string]Order{
		"long": {Methods: git, TTL: maxTTL}, "often": {Methods: many[:maxPatterns], Uses: maxUses}, "short": {Methods: git, TTL: minTTL},
	} {
		if _, _, err := s.Issue(t.Context(), o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 3 {
		t.Errorf("%d tokens, %v", len(list), err)
	}
}

func TestPatterns(t *testing.T) {
	long := "git." + strings.Repeat("x", maxPattern-len("git."))
	for pattern, want := range map[string]bool{
		"git.refs": true, "git.*": true, "a.b.c": true, "a.b.*": true, "a-b.c1": true, long: true,
		long + "x": false, "": false, "*": false, "git": false, "git.": false, ".refs": false, "git.re*": false, "*.refs": false, "git.*.x": false, "Git.refs": false,
		"git refs": false, "git..refs": false, "git.1": false, "git.**": false, "git.*\n": false,
	} {
		if err := (Patterns{pattern}).check(); (err == nil) != want {
			t.Errorf("%q: %v", pattern, err)
		}
	}
	p := Patterns{"git.*", "trust.sign"}
	for method, want := range map[string]bool{
		"git.refs": true, "git.a.b": true, "trust.sign": true, "trust.signs": false, "trust": false, "gitd.refs": false, "git": false, "": false, "trust.*": false,
	} {
		if got := p.Cover(method); got != want {
			t.Errorf("%q is covered: %v", method, got)
		}
	}
}

// TestFull: the limit on tokens counts those that are good for something, and those that cannot be read.
func TestFull(t *testing.T) {
	s, at := testStore(t)
	_, text := issue(t, s, Order{Methods: Patterns{"git.*"}, Uses: 1})
	c, _ := parse(text)
	data, err := os.ReadFile(s.path(c.id))
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxTokens - 2 {
		if err := os.WriteFile(s.path(ID(fmt.Sprintf("%016x", i))), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.path("ffffffffffffffff"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Issue(t.Context(), Order{Methods: Patterns{"git.*"}, Uses: 1}); !errors.Is(err, ipc.ResourceExhausted) {
		t.Errorf("one too many: %v", err)
	}
	if list, err := s.List(t.Context()); err == nil || len(list) != maxTokens-1 {
		t.Errorf("%d tokens, %v", len(list), err)
	}
	if err := s.Revoke(t.Context(), "ffffffffffffffff", ""); err != nil {
		t.Errorf("a token that cannot be read cannot be revoked: %v", err)
	}
	issue(t, s, Order{Methods: Patterns{"git.*"}, TTL: time.Hour})
	at.wall = at.wall.Add(usualTTL)
	issue(t, s, Order{Methods: Patterns{"git.*"}, Uses: 1})
	if list, err := s.List(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("%d tokens, %v", len(list), err)
	}
}

func TestRevoke(t *testing.T) {
	ctx := t.Context()
	s, _ := testStore(t)
	one, text := issue(t, s, Order{Methods: Patterns{"git.*"}, TTL: time.Hour})
	issue(t, s, Order{Methods: Patterns{"git.*"}, TTL: time.Hour})
	for _, id := range []ID{"", "../../etc/passwd", "0123456789ABCDEF"} {
		if err := s.Revoke(ctx, id, ""); !errors.Is(err, ipc.BadRequest) {
			t.Errorf("%q: %v", id, err)
		}
	}
	held, err := openFile(ctx, s.path(one.ID)) // somebody is in the middle of a use
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- s.Revoke(ctx, one.ID, "me") }()
	if err := errors.Join(held.spend(), held.Close()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Spend(ctx, text, "git.refs", ""); !errors.Is(err, ErrInvalid) {
		t.Errorf("a revoked token: %v", err)
	}
	if err := s.Revoke(ctx, one.ID, ""); !errors.Is(err, ipc.NotFound) {
		t.Errorf("revoked twice: %v", err)
	}
	if all, err := s.RevokeAll(ctx, "me"); err != nil || len(all) != 1 {
		t.Errorf("revoked %v, %v", all, err)
	}
	if all, err := s.RevokeAll(ctx, "me"); err != nil || len(all) != 0 {
		t.Errorf("revoked again %v, %v", all, err)
	}
}

// TestNoRecordNoUse: what cannot be recorded is not permitted, and the use is gone all the same.
func TestNoRecordNoUse(t *testing.T) {
	s, _ := testStore(t)
	_, text := issue(t, s, Order{Methods: Patterns{"git.*"}, Uses: 1})
	path := s.log.Path
	s.log.Path = "/dev/null/log"
	if err := s.Spend(t.Context(), text, "git.refs", ""); err == nil {
		t.Error("a use without a record")
	}
	s.log.Path = path
	if err := s.Spend(t.Context(), text, "git.refs", ""); !errors.Is(err, ErrSpent) {
		t.Errorf("the use came back: %v", err)
	}
	s.log.Path = "/dev/null/log"
	if _, _, err := s.Issue(t.Context(), Order{Methods: Patterns{"git.*"}, Uses: 1}); err == nil {
		t.Error("a token without a record")
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("listed are %v, %v", list, err)
	}
}

// TestPatience: whoever waits for a lock that somebody holds for ever gives up when its time is up.
func TestPatience(t *testing.T) {
	s, _ := testStore(t)
	one, text := issue(t, s, Order{Methods: Patterns{"git.*"}, Uses: 1})
	held, err := openFile(t.Context(), s.path(one.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := contextFor(t, 30*time.Millisecond)
	defer cancel()
	for name, err := range map[string]error{
		"spend": s.Spend(ctx, text, "git.refs", ""), "revoke": s.Revoke(ctx, one.ID, ""),
	} {
		if ipc.CodeOf(err) != ipc.DeadlineExceeded {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStrangeFiles(t *testing.T) {
	s, _ := testStore(t)
	one, text := issue(t, s, Order{Methods: Patterns{"git.*"}, Uses: 1})
	data, err := os.ReadFile(s.path(one.ID))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty": nil, "half": data[:len(data)/2], "two": append(bytes.TrimSpace(bytes.Clone(data)), data...),
		"huge": append(bytes.Clone(data), make([]byte, maxUses+1)...), "newer": bytes.Replace(data, []byte(`"format":1`), []byte(`"format":2`), 1),
		"more": bytes.Replace(data, []byte(`"format":1`), []byte(`"format":1,"admin":true`), 1),
	} {
		if err := os.WriteFile(s.path(one.ID), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Spend(t.Context(), text, "git.refs", ""); err == nil || isRefusal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	real := filepath.Join(t.TempDir(), "real")
	if err := errors.Join(os.WriteFile(real, data, 0o600), os.Remove(s.path(one.ID)), os.Symlink(real, s.path(one.ID))); err != nil {
		t.Fatal(err)
	}
	if err := s.Spend(t.Context(), text, "git.refs", ""); err == nil {
		t.Error("a link was followed")
	}
}
