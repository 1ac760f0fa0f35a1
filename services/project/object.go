package project

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kinds of git objects, as their headers name them.
const (
	kindBlob   = "blob"
	kindTree   = "tree"
	kindCommit = "commit"
)

const fileMode = "100644"

// treeEntry is one file of a tree.
type treeEntry struct {
	mode, name string
	oid        OID
}

// encodeTree returns the content of a tree object that holds the given files. Git sorts files by the bytes of their names.
func encodeTree(files map[string]OID) []byte {
	var b bytes.Buffer
	for _, name := range sortedRefs(files) {
		oid := files[name]
		fmt.Fprintf(&b, "%s %s\x00", fileMode, name)
		b.Write(oid[:])
	}
	return b.Bytes()
}

func decodeTree(data []byte) ([]treeEntry, error) {
	var entries []treeEntry
	for len(data) > 0 {
		head, rest, found := bytes.Cut(data, []byte{0})
		mode, name, spaced := strings.Cut(string(head), " ")
		if !found || !spaced || name == "" || len(rest) < len(OID{}) {
			return nil, errors.New("malformed tree")
		}
		entries = append(entries, treeEntry{mode, name, OID(rest[:len(OID{})])})
		data = rest[len(OID{}):]
	}
	return entries, nil
}

// decodeFiles reads a tree that may hold nothing but plain files.
func decodeFiles(data []byte) (map[string]OID, error) {
	entries, err := decodeTree(data)
	if err != nil {
		return nil, err
	}
	files := make(map[string]OID, len(entries))
	for _, e := range entries {
		if e.mode != fileMode {
			return nil, fmt.Errorf("tree entry %q has mode %s, want %s", clip(e.name), clip(e.mode), fileMode)
		}
		if _, twice := files[e.name]; twice {
			return nil, fmt.Errorf("tree entry %q is there twice", clip(e.name))
		}
		files[e.name] = e.oid
	}
	return files, nil
}

// commit is what we write and read of a commit object.
type commit struct {
	tree    OID
	parents []OID
	author  string // both name and address, of author and committer
	at      time.Time
	message string
}

func parentsOf(parent OID) []OID {
	if parent.IsZero() {
		return nil
	}
	return []OID{parent}
}

func (c commit) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", c.tree)
	for _, p := range c.parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	for _, who := range []string{"author", "committer"} {
		fmt.Fprintf(&b, "%s %s <%s> %d +0000\n", who, c.author, c.author, c.at.Unix())
	}
	fmt.Fprintf(&b, "\n%s\n", c.message)
	return b.Bytes()
}

// decodeCommit reads the tree and the parents, the two that matter to us.
func decodeCommit(data []byte) (tree OID, parents []OID, err error) {
	head, _, _ := strings.Cut(string(data), "\n\n")
	for i, line := range slices.Collect(strings.SplitSeq(head, "\n")) {
		name, value, _ := strings.Cut(line, " ")
		switch {
		case i == 0 && name == "tree":
			tree, err = ParseOID(value)
		case i > 0 && name == "parent":
			var p OID
			p, err = ParseOID(value)
			parents = append(parents, p)
		case i == 0:
			err = errors.New("malformed commit")
		}
		if err != nil {
			return OID{}, nil, err
		}
	}
	return tree, parents, nil
}
