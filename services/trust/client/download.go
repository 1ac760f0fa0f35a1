package client

import (
	"context"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/trust"
)

// Download puts a target that Find has found into the folder dir and returns where: in a file with the name of the target, whose
// slashes are escaped like all that could not stand in a name. It appears whole and verified or not at all; one that is there
// already and right is not fetched. Errors have code ipc.Corrupt if the file is not what it should be, ipc.NotFound,
// ipc.Unavailable.
func (c *Client) Download(ctx context.Context, from Source, name string, target trust.Target, dir string) (string, error) {
	to := filepath.Join(dir, escape(name))
	if kept(to, target) {
		return to, nil
	}
	r, err := c.openTarget(ctx, from, name, target)
	if err != nil {
		return "", about(name, err)
	}
	defer r.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := profile.Sweep(dir); err != nil {
		return "", err
	}
	if err := profile.WriteFrom(to, r, 0o644); err != nil {
		return "", about(name, err)
	}
	return to, nil
}

// kept reports whether the file is there, and right.
func kept(file string, target trust.Target) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	check, err := hashes(target.Hashes).checker(target.Length)
	if err == nil {
		_, err = io.Copy(io.Discard, &verified{f, check})
	}
	return err == nil
}

// openTarget fetches a target. Reading ends with an error if it is not what it should be.
func (c *Client) openTarget(ctx context.Context, from Source, name string, target trust.Target) (io.ReadCloser, error) {
	check, err := hashes(target.Hashes).checker(target.Length)
	if err != nil {
		return nil, err
	}
	file := name
	if c.root.consistent {
		folder, base := path.Split(name)
		file = folder + hashes(target.Hashes).preferred() + "." + base
	}
	body, err := from.Open(ctx, escapePath(file))
	if err != nil {
		return nil, err
	}
	return &verified{body, check}, nil
}

// verified is a file that is checked as it is read: whoever reads to the end without an error has the right one.
type verified struct {
	io.ReadCloser
	check *checker
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	if _, wrong := v.check.Write(p[:n]); wrong != nil {
		return 0, wrong
	}
	if err == io.EOF {
		if wrong := v.check.end(); wrong != nil {
			return n, wrong
		}
	}
	return n, err
}
