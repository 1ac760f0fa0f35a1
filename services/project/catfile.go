package project

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
)

// objectReader reads objects: those that lie loose by itself, packed ones through one git cat-file that it starts when
// the first is asked for. It is for one goroutine; Close ends the process.
type objectReader struct {
	ctx   context.Context
	dir   string // the repository
	loose looseObjects

	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// read returns the content of an object of that kind. An object that is not there is ipc.NotFound, one that is not what
// its name stands for ipc.Corrupt.
func (r *objectReader) read(oid OID, kind string) ([]byte, error) {
	content, err := r.loose.read(oid, kind)
	if errors.Is(err, fs.ErrNotExist) {
		return r.readPacked(oid, kind)
	}
	if err != nil {
		return nil, ipc.Errorf(ipc.Corrupt, "%w", err)
	}
	return content, nil
}

func (r *objectReader) readPacked(oid OID, kind string) ([]byte, error) {
	if err := r.start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(r.in, "%s\n", oid); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	head, err := r.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	var name, actual string
	var size int
	if n, _ := fmt.Sscanf(head, "%s %s %d", &name, &actual, &size); n < 3 {
		return nil, ipc.Errorf(ipc.NotFound, "object %s is missing", oid)
	}
	if size > maxObject {
		return nil, ipc.Errorf(ipc.Corrupt, "object %s has %d bytes, want at most %d", oid, size, maxObject)
	}
	content := make([]byte, size+1) // and the newline after it
	if _, err := io.ReadFull(r.out, content); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	content = content[:size]
	if actual != kind || hashObject(actual, content) != oid {
		return nil, ipc.Errorf(ipc.Corrupt, "object %s is not the %s that its name stands for", oid, kind)
	}
	return content, nil
}

func (r *objectReader) start() (err error) {
	if r.cmd != nil {
		return nil
	}
	cmd := gitCommand(r.ctx, r.dir, "cat-file", "--batch")
	if r.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	r.out = bufio.NewReaderSize(out, 1<<16)
	if err := cmd.Start(); err != nil {
		return gitError(r.ctx, "cat-file", err, "")
	}
	r.cmd = cmd
	return nil
}

// Close ends the process, if there is one.
func (r *objectReader) Close() {
	if r.cmd == nil {
		return
	}
	r.in.Close()
	_, _ = io.Copy(io.Discard, r.out)
	_ = r.cmd.Wait() // what it had to say, it said in its answers
	r.cmd = nil
}

// files reads the tree of a commit that holds nothing but plain files.
func (r *objectReader) files(tip OID) (files map[string]OID, parents []OID, err error) {
	data, err := r.read(tip, kindCommit)
	if err != nil {
		return nil, nil, err
	}
	tree, parents, err := decodeCommit(data)
	if err != nil {
		return nil, nil, ipc.Errorf(ipc.Corrupt, "commit %s: %w", tip, err)
	}
	if data, err = r.read(tree, kindTree); err != nil {
		return nil, nil, err
	}
	if files, err = decodeFiles(data); err != nil {
		return nil, nil, ipc.Errorf(ipc.Corrupt, "tree %s of commit %s: %w", tree, tip, err)
	}
	return files, parents, nil
}

// readRefFile reads what git has written down of a ref.
func readRefFile(data string) (OID, error) {
	line := strings.TrimSuffix(data, "\n")
	if strings.HasPrefix(line, "ref:") {
		return OID{}, ipc.Errorf(ipc.Corrupt, "is symbolic")
	}
	oid, err := ParseOID(line)
	if err != nil {
		return OID{}, ipc.Errorf(ipc.Corrupt, "%w", err)
	}
	return oid, nil
}
