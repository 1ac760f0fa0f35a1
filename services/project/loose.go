package project

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxObject is the size in bytes of the largest object that we read: signed refs and their header.
const maxObject = MaxSignedRefs + 64

// looseObjects writes and reads single objects of a repository in git's own format, without a process: a push has a few
// milliseconds for everything that we add to it. One value serves one call, as it is not for concurrent use.
type looseObjects struct {
	dir string // the repository's objects folder
	z   *zlib.Writer
}

func (l *looseObjects) path(oid OID) string {
	hex := oid.String()
	return filepath.Join(l.dir, hex[:2], hex[2:])
}

// write stores an object unless it is there already, under its name only once it is whole.
func (l *looseObjects) write(kind string, content []byte) (OID, error) {
	oid := hashObject(kind, content)
	path := l.path(oid)
	if _, err := os.Lstat(path); err == nil {
		return oid, nil
	}
	if err := l.writeAt(path, kind, content); err != nil {
		return OID{}, fmt.Errorf("cannot write %s %s: %w", kind, oid, err)
	}
	return oid, nil
}

func (l *looseObjects) writeAt(path, kind string, content []byte) error {
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// git-prune(1) removes files of this name that a crash left behind.
	f, err := os.CreateTemp(l.dir, "tmp_obj_")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = errors.Join(l.fill(f, kind, content), f.Close())
	if err != nil {
		return err
	}
	// Whoever comes first has written the same bytes.
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (l *looseObjects) fill(f *os.File, kind string, content []byte) error {
	var b bytes.Buffer
	if l.z == nil {
		// Git packs these objects again sooner or later, and object ids do not compress.
		l.z, _ = zlib.NewWriterLevel(&b, zlib.BestSpeed)
	}
	l.z.Reset(&b)
	fmt.Fprintf(l.z, "%s %d\x00", kind, len(content))
	if _, err := l.z.Write(content); err != nil {
		return err
	}
	if err := l.z.Close(); err != nil {
		return err
	}
	if _, err := f.Write(b.Bytes()); err != nil {
		return err
	}
	return f.Chmod(0o444)
}

// read returns an object's content if it is there as a file of its own; fs.ErrNotExist if not.
func (l *looseObjects) read(oid OID, kind string) ([]byte, error) {
	f, err := os.Open(l.path(oid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := zlib.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", oid, err)
	}
	data, err := io.ReadAll(io.LimitReader(z, maxObject+1))
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", oid, err)
	}
	return checkObject(oid, kind, data)
}

// checkObject separates an object's header from its content and checks both against its name.
func checkObject(oid OID, kind string, data []byte) ([]byte, error) {
	if len(data) > maxObject {
		return nil, fmt.Errorf("object %s has more than %d bytes", oid, maxObject)
	}
	head, content, found := bytes.Cut(data, []byte{0})
	actual, size, _ := strings.Cut(string(head), " ")
	if !found || size != fmt.Sprint(len(content)) {
		return nil, fmt.Errorf("object %s is malformed", oid)
	}
	if actual != kind {
		return nil, fmt.Errorf("object %s is a %s, want a %s", oid, clip(actual), kind)
	}
	if hashObject(actual, content) != oid {
		return nil, fmt.Errorf("object %s does not have the content that its name stands for", oid)
	}
	return content, nil
}
