package gitd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/lnk-suite/lnk/services/project"
)

// update moves one ref. Old and new are zero for a ref that is not there before, or after; if they are the same, the
// transaction only takes place if the ref is there.
type update struct {
	ref      string // full name
	old, new project.OID
}

// updater is a `git update-ref --stdin` that waits for transactions. It is started while git receive-pack still unpacks, and
// kept for a while for the next push, so that its start costs no push anything. It must not be killed while it commits:
// it would leave half of a transaction behind.
type updater struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *complaint
}

// startUpdater starts the process. It inherits lock: while it commits, it keeps the lock even if gitd dies.
func (e *engine) startUpdater(repo string, lock *os.File, more ...setting) (*updater, error) {
	env := e.environment(append(e.commonSettings(), more...))
	cmd, stderr := e.command(context.Background(), env, "--git-dir="+repo, "update-ref", "--stdin")
	cmd.ExtraFiles = []*os.File{lock}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start git update-ref: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start git update-ref: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start git update-ref: %w", err)
	}
	return &updater{cmd, in, bufio.NewReader(out), stderr}, nil
}

// commit makes all updates or none, in their order. After an error the process has ended; one that is a *refConflict
// names a ref that stood in the way.
func (u *updater) commit(updates []update) error {
	// An error of the write is the process having died, which its exit status and words tell better.
	_, _ = io.WriteString(u.in, script(updates))
	if u.confirmed() {
		return nil
	}
	u.in.Close()
	err := u.cmd.Wait()
	if err == nil {
		err = errors.New("ended without a word")
	}
	return asConflict(u.stderr.explain(err, nil))
}

// confirmed reads what update-ref says up to its word that everything is done, or its end.
func (u *updater) confirmed() bool {
	for {
		line, err := u.out.ReadString('\n')
		if line == "commit: ok\n" {
			return true
		}
		if err != nil {
			return false
		}
	}
}

// end lets the process, if there is one, leave.
func (u *updater) end() {
	if u == nil {
		return
	}
	u.in.Close()
	_ = u.cmd.Wait() // between transactions it has nothing to say
}

// script is the input of update-ref. Ref names were checked and contain neither spaces nor newlines.
func script(updates []update) string {
	var b strings.Builder
	b.WriteString("start\n")
	for _, u := range updates {
		switch {
		case u.new == u.old:
			fmt.Fprintf(&b, "verify %s %s\n", u.ref, u.old)
		case u.new.IsZero():
			fmt.Fprintf(&b, "delete %s %s\n", u.ref, u.old)
		case u.old.IsZero():
			fmt.Fprintf(&b, "create %s %s\n", u.ref, u.new)
		default:
			fmt.Fprintf(&b, "update %s %s %s\n", u.ref, u.new, u.old)
		}
	}
	b.WriteString("prepare\ncommit\n")
	return b.String()
}

// refConflict says which ref kept a transaction from happening.
type refConflict struct {
	ref string // full name, or packedRefs
	why string
}

func (c *refConflict) Error() string { return fmt.Sprintf("cannot update %s: %s", c.ref, c.why) }

// packedRefs is the file of refs that have no file of their own. Whoever rewrites it makes .lock and .new beside it.
const packedRefs = "packed-refs"

// What update-ref says about one ref, e.g. "fatal: prepare: cannot lock ref 'refs/heads/a/b': 'refs/heads/a' exists; cannot
// create 'refs/heads/a/b'", about two that cannot both be files and folders, or about the file of packed refs.
var conflictPatterns = []*regexp.Regexp{
	regexp.MustCompile(`cannot (?:lock|update) (?:the )?ref '([^']+)': ([^\n]*)`),
	regexp.MustCompile(`cannot process '[^']+' and '([^']+)' (at the same time)`),
	regexp.MustCompile(`nable to create (?:file )?'?[^\n]*/(packed-refs)\.(?:lock|new)'?: (File exists)`),
}

func asConflict(err error) error {
	for _, pattern := range conflictPatterns {
		if m := pattern.FindStringSubmatch(err.Error()); m != nil {
			return &refConflict{m[1], m[2]}
		}
	}
	return err
}

// moved reports whether the ref is merely not where the transaction expected it.
func (c *refConflict) moved() bool {
	return strings.Contains(c.why, "but expected") || strings.Contains(c.why, "reference already exists")
}
