package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// follower is a client as the conformance suite drives it. Each call is one run of the program.
type follower interface {
	init(w *world, root []byte) error
	refresh(w *world, now time.Time) error
	download(w *world, target string, now time.Time) error
}

// ours is this package.
type ours struct{}

func (ours) init(w *world, root []byte) error {
	return w.withFolder(func(s *Folder) error { return Init(s, root) })
}

func (o ours) refresh(w *world, now time.Time) error {
	return o.with(w, now, func(*Client) error { return nil })
}

func (o ours) download(w *world, name string, now time.Time) error {
	return o.with(w, now, func(c *Client) error {
		target, err := c.Find(context.Background(), name)
		if err != nil {
			return err
		}
		from, err := NewWeb(w.url + "/targets/")
		if err != nil {
			return err
		}
		_, err = c.Download(context.Background(), from, name, target, w.files)
		return err
	})
}

func (ours) with(w *world, now time.Time, f func(*Client) error) error {
	return w.withFolder(func(s *Folder) error {
		from, err := NewWeb(w.url + "/metadata")
		if err != nil {
			return err
		}
		c, err := New(s, from, now)
		if err != nil {
			return err
		}
		if err := c.Refresh(context.Background()); err != nil {
			return err
		}
		return f(c)
	})
}

func (w *world) withFolder(f func(*Folder) error) error {
	s, err := OpenFolder(w.t.Context(), w.dir)
	if err != nil {
		return err
	}
	defer s.Close()
	return f(s)
}

// judge is an unmodified go-tuf, which shows that the cases ask of a client what the suite does.
type judge struct{}

func (judge) init(w *world, root []byte) error {
	return os.WriteFile(filepath.Join(w.dir, "root.json"), root, 0o600)
}

func (j judge) refresh(w *world, now time.Time) error {
	_, err := j.updater(w, now)
	return err
}

func (j judge) updater(w *world, now time.Time) (*updater.Updater, error) {
	root, err := os.ReadFile(filepath.Join(w.dir, "root.json"))
	if err != nil {
		return nil, err
	}
	cfg, err := config.New(w.url+"/metadata/", root)
	if err != nil {
		return nil, err
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = w.dir, w.files
	u, err := updater.New(cfg)
	if err != nil {
		return nil, err
	}
	u.UnsafeSetRefTime(now)
	return u, u.Refresh()
}

func (j judge) download(w *world, name string, now time.Time) error {
	u, err := j.updater(w, now)
	if err != nil {
		return err
	}
	target, err := u.GetTargetInfo(name)
	if err != nil {
		return err
	}
	if path, _, err := u.FindCachedTarget(target, ""); err == nil && path != "" {
		return nil
	}
	_, _, err = u.DownloadTarget(target, "", w.url+"/targets/")
	return err
}

// world is a repository and one client.
type world struct {
	*sim
	t          testing.TB
	who        follower
	dir, files string
	url        string
}

func newWorld(t testing.TB, who follower) *world {
	w := &world{sim: newSim(), t: t, who: who, dir: t.TempDir(), files: t.TempDir()}
	server := httptest.NewServer(w.sim)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// settle orders what the test does to the repository before and after what the server does with it, which the race detector
// cannot see through another process.
func (w *world) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
}

// begin gives the client the first root.
func (w *world) begin() {
	w.t.Helper()
	if err := w.who.init(w, w.published["root"][0]); err != nil {
		w.t.Fatalf("init: %v", err)
	}
}

const good, bad = true, false

func (w *world) refresh(want bool) { w.t.Helper(); w.refreshAt(0, want) }

// refreshAt refreshes on a day to come.
func (w *world) refreshAt(days int, want bool) {
	w.t.Helper()
	w.expect("refresh", w.who.refresh(w, today.AddDate(0, 0, days)), want)
}

func (w *world) download(name string, want bool) { w.t.Helper(); w.downloadAt(0, name, want) }

func (w *world) downloadAt(days int, name string, want bool) {
	w.t.Helper()
	w.expect("download", w.who.download(w, name, today.AddDate(0, 0, days)), want)
}

func (w *world) expect(what string, err error, want bool) {
	w.t.Helper()
	if (err == nil) != want {
		w.t.Fatalf("%s: error %v, want success to be %v", what, err, want)
	}
}

// trusts compares the documents that are trusted with a list like "root 1, targets 2".
func (w *world) trusts(want string) {
	w.t.Helper()
	if got := w.trusted(); got != want {
		w.t.Fatalf("trusted: %s; want %s", got, want)
	}
}

func (w *world) trusted() string {
	var all []string
	for _, name := range w.held() {
		all = append(all, fmt.Sprintf("%s %d", name, w.version(name)))
	}
	return strings.Join(all, ", ")
}

// held lists the names of the documents that are kept.
func (w *world) held() (names []string) {
	found, err := filepath.Glob(filepath.Join(w.dir, "*.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range found {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".json"))
	}
	return names
}

// version returns the version of the document that is kept of a role, 0 if there is none.
func (w *world) version(role string) int64 {
	data, err := os.ReadFile(filepath.Join(w.dir, role+".json"))
	if err != nil {
		return 0
	}
	var file struct{ Signed struct{ Version int64 } }
	if err := json.Unmarshal(data, &file); err != nil {
		w.t.Fatal(err)
	}
	return file.Signed.Version
}

func (w *world) isAt(role string, want int64) {
	w.t.Helper()
	if got := w.version(role); got != want {
		w.t.Fatalf("%s is at version %d, want %d", role, got, want)
	}
}

// holds compares what is kept of a role with what the repository published last, byte for byte.
func (w *world) holds(role string) {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, role+".json"))
	list := w.published[role]
	if err != nil || !bytes.Equal(data, list[len(list)-1]) {
		w.t.Fatalf("%s is not what the repository has (%v): %s", role, err, data)
	}
}

// askedFor compares the requests for metadata since the last time.
func (w *world) askedFor(want ...string) {
	w.t.Helper()
	if got := w.requests(); !slices.Equal(got, want) {
		w.t.Fatalf("asked for %q, want %q", got, want)
	}
}

func (w *world) askedLast(want string) {
	w.t.Helper()
	if got := w.requests(); len(got) == 0 || got[len(got)-1] != want {
		w.t.Fatalf("asked for %q, want %q at the end", got, want)
	}
}

// downloaded compares what has been downloaded, in any order.
func (w *world) downloaded(want ...string) {
	w.t.Helper()
	var got []string
	err := filepath.WalkDir(w.files, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		got = append(got, string(data))
		return err
	})
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		w.t.Fatalf("downloaded %q (%v), want %q", got, err, want)
	}
}

// survey is what our client finds, beginning anew.
func (w *world) survey(names ...string) Report {
	w.t.Helper()
	store := Memory{}
	if err := Init(store, w.published["root"][0]); err != nil {
		w.t.Fatal(err)
	}
	metadata, targets := must(NewWeb(w.url+"/metadata")), must(NewWeb(w.url+"/targets"))
	report, err := must(New(store, metadata, today)).Survey(w.t.Context(), targets, names)
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}
