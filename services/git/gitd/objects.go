package gitd

import (
	"bytes"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/lnk-suite/lnk/services/project"
)

// refs returns the refs below or equal to patterns, by full name (git for-each-ref).
func (e *engine) refs(ctx context.Context, repo string, patterns ...string) (map[string]project.OID, error) {
	args := append([]string{"--git-dir=" + repo, "for-each-ref", "--format=%(objectname) %(refname)"}, patterns...)
	out, err := e.output(ctx, nil, args...)
	if err != nil {
		return nil, err
	}
	refs := map[string]project.OID{}
	for line := range strings.Lines(string(out)) {
		hex, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if refs[name], err = project.ParseOID(hex); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// kindReader finds out what kind objects are: a push usually leaves them loose, where a look at the file is enough; for
// those in packs one git process answers.
type kindReader struct {
	engine *engine
	repo   string
	wanted []project.OID
	found  map[project.OID]string
}

func (k *kindReader) want(oid project.OID) {
	if k.found == nil {
		k.found = map[project.OID]string{}
	}
	if _, known := k.found[oid]; known {
		return
	}
	kind := looseKind(k.repo, oid)
	k.found[oid] = kind
	if kind == "" {
		k.wanted = append(k.wanted, oid)
	}
}

// read returns the kind of every wanted object; "" for one that is missing.
func (k *kindReader) read(ctx context.Context) (map[project.OID]string, error) {
	if len(k.wanted) == 0 {
		return k.found, nil
	}
	var in bytes.Buffer
	for _, oid := range k.wanted {
		fmt.Fprintln(&in, oid)
	}
	out, err := k.engine.output(ctx, in.Bytes(), "--git-dir="+k.repo, "cat-file", "--batch-check=%(objectname) %(objecttype)")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(out)) {
		hex, kind, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		oid, err := project.ParseOID(hex)
		if err != nil {
			return nil, err
		}
		if kind != "missing" {
			k.found[oid] = kind
		}
	}
	return k.found, nil
}

// looseKind reads the kind from the first bytes of a loose object, "" if there is no such file.
func looseKind(repo string, oid project.OID) string {
	hex := oid.String()
	f, err := os.Open(filepath.Join(repo, "objects", hex[:2], hex[2:]))
	if err != nil {
		return ""
	}
	defer f.Close()
	z, err := zlib.NewReader(f)
	if err != nil {
		return ""
	}
	head := make([]byte, len("commit "))
	n, _ := io.ReadFull(z, head)
	kind, _, _ := strings.Cut(string(head[:n]), " ")
	return kind
}
