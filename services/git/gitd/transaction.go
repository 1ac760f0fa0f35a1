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

// update moves one ref. Old and new are zero for a ref that is not there before, or after.
type update struct {
	ref      string // full name
	old, new project.OID
}

// transaction is a `git update-ref --stdin` that waits for what to do. It is started while git receive-pack still
// unpacks, so that its start costs the push nothing. It must not be killed once commit was called: it would leave half of
// a transaction behind.
type transaction struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *complaint
}

// newTransaction starts the process. It inherits lock, and thereby holds it until it has ended even if gitd dies first.
func (e *engine) newTransaction(repo string, lock *os.File) (*transaction, error) {
	env := e.environment(e.commonSettings())
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
	return &transaction{cmd, in, bufio.NewReader(out), stderr}, nil
}

// commit makes all updates or none, in their order. An error that is a *refConflict names a ref that stood in the way.
func (t *transaction) commit(updates []update) error {
	// An error of the write is the process having died, which its exit status and words tell better.
	_, _ = io.WriteString(t.in, script(updates))
	t.in.Close()
	if t.confirmed() {
		return nil // git's leave-taking takes as long as the commit: see reap
	}
	err := t.cmd.Wait()
	if err == nil {
		err = errors.New("ended without a word")
	}
	return asConflict(t.stderr.explain(err, nil))
}

// confirmed reads what update-ref says up to its word that everything is done, or its end.
func (t *transaction) confirmed() bool {
	for {
		line, err := t.out.ReadString('\n')
		if line == "commit: ok\n" {
			return true
		}
		if err != nil {
			return false
		}
	}
}

// reap waits for the process of a transaction that was committed.
func (t *transaction) reap() {
	_ = t.cmd.Wait() // it has said that all is done
}

// abandon ends a transaction that was never used.
func (t *transaction) abandon() {
	t.in.Close()
	_ = t.cmd.Wait() // without a commit it changes nothing, whatever it says
}

// script is the input of update-ref. Ref names were checked and contain neither spaces nor newlines.
func script(updates []update) string {
	var b strings.Builder
	b.WriteString("start\n")
	for _, u := range updates {
		switch {
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
	ref string // full name
	why string
}

func (c *refConflict) Error() string { return fmt.Sprintf("cannot update %s: %s", c.ref, c.why) }

// What update-ref says about one ref, e.g. "fatal: prepare: cannot lock ref 'refs/heads/a/b': 'refs/heads/a' exists; cannot
// create 'refs/heads/a/b'", or about two that cannot both be files and folders.
var conflictPatterns = []*regexp.Regexp{
	regexp.MustCompile(`cannot (?:lock|update) (?:the )?ref '([^']+)': ([^\n]*)`),
	regexp.MustCompile(`cannot process '[^']+' and '([^']+)' (at the same time)`),
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
