package project

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// maxObject is the size in bytes of the largest object that we read: signed refs and their header.
const maxObject = MaxSignedRefs + 64

// looseObjects writes and reads single objects of a repository in git's own format, without a process: a push has a few
// milliseconds for everything that we add to it.
type looseObjects struct {
	dir string // the repository's objects folder
}

func (l looseObjects) path(oid OID) string {
	hex := oid.String()
	return filepath.Join(l.dir, hex[:2], hex[2:])
}

// write stores an object as a file of its own, under its name only once it is whole, or makes the file that is there new by
// its date: whoever removes what nothing refers to goes by that, and may have looked before anything refers to it. An empty
// file is what the end of the machine can leave of an object that nobody waited for.
func (l looseObjects) write(kind string, content []byte) (OID, error) {
	oid := hashObject(kind, content)
	path := l.path(oid)
	if info, err := os.Lstat(path); err == nil && info.Size() > 0 {
		now := time.Now()
		if os.Chtimes(path, now, now) == nil {
			return oid, nil
		} // removed meanwhile
	}
	if err := l.writeAt(path, kind, content); err != nil {
		return OID{}, fmt.Errorf("cannot write %s %s: %w", kind, oid, err)
	}
	return oid, nil
}

// writeCommit stores a commit whose tree is these files, and returns it with the paths of all that the disk must have.
func (l looseObjects) writeCommit(files map[string][]byte, c commit) (OID, []string, error) {
	var paths []string
	write := func(kind string, content []byte) (OID, error) {
		oid, err := l.write(kind, content)
		paths = append(paths, l.path(oid), filepath.Dir(l.path(oid)))
		return oid, err
	}
	blobs := make(map[string]OID, len(files))
	var err error
	for name, content := range files {
		if blobs[name], err = write(kindBlob, content); err != nil {
			return OID{}, nil, err
		}
	}
	if c.tree, err = write(kindTree, encodeTree(blobs)); err != nil {
		return OID{}, nil, err
	}
	oid, err := write(kindCommit, c.encode())
	return oid, paths, err
}

func (l looseObjects) writeAt(path, kind string, content []byte) error {
	data, err := pack(kind, content)
	if err != nil {
		return err
	}
	// git-prune(1) removes files of this name that a crash left behind.
	temp := filepath.Join(l.dir, "tmp_obj_"+rand.Text())
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = place(temp, path)
	}
	if err != nil {
		os.Remove(temp)
	}
	return err
}

// maxPlace bounds how often a folder may be gone again.
const maxPlace = 8

// place moves a finished file to its name; whoever else writes this object writes the same bytes. Git removes the folders
// that it empties (git-prune-packed), also between the two steps here.
func place(temp, path string) (err error) {
	for range maxPlace {
		if err = os.Mkdir(filepath.Dir(path), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err = os.Rename(temp, path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// compressors are kept, as each has 1.2 MB that must be cleared. Git packs these objects again sooner or later, and
// object ids do not compress, so speed is all that counts.
var compressors = sync.Pool{New: func() any {
	z, err := zlib.NewWriterLevel(nil, zlib.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return z
}}

// pack returns what git keeps in the file of an object.
func pack(kind string, content []byte) ([]byte, error) {
	z := compressors.Get().(*zlib.Writer)
	defer compressors.Put(z)
	var b bytes.Buffer
	z.Reset(&b)
	fmt.Fprintf(z, "%s %d\x00", kind, len(content))
	if _, err := z.Write(content); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// read returns an object's content if it is there as a file of its own; fs.ErrNotExist if not.
func (l looseObjects) read(oid OID, kind string) ([]byte, error) {
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
