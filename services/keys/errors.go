package keys

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/lnk-suite/lnk/ipc"
)

// noKey makes the error of an agent that could not do what it was asked: one sentence of cause, one of cure.
func noKey(hint, format string, args ...any) error {
	return ipc.Errorf(ipc.NoKey, format, args...).WithHint(hint)
}

// The cures. They name only what whoever has lnk also has.
const (
	hintStart   = `start one with eval "$(ssh-agent)", or set SSH_AUTH_SOCK`
	hintAdd     = "lnk key add"
	hintUnlock  = "lnk key add, or lnk key unlock if it is locked"
	hintTake    = "lnk key unlock, if it is locked; an agent that cannot ask takes no key with --confirm"
	hintList    = "lnk key list shows what it holds"
	hintConfirm = "confirm the agent's prompt; if there was none, load the key again without restrictions: lnk key add"
	hintAgain   = "lnk key add, once the agent runs again"
	hintPrompt  = "answer the agent's prompt, or restart the agent"
	hintProfile = "start the agent that agent_socket in the profile names (a seed's: lnk service enable), or remove the setting"
	hintAsk     = "run it in a terminal, set SSH_ASKPASS, or name a file with --passphrase-file"
	hintOther   = "use another agent: set SSH_AUTH_SOCK, or agent_socket in the profile"
)

// noKey is about the keys of the profile that the agent is used for.
func (a Agent) noKey(hint, format string, args ...any) error {
	if a.For != "" {
		hint = strings.ReplaceAll(hint, "lnk key ", "lnk --profile "+a.For+" key ")
	}
	return noKey(hint, format, args...)
}

func errNoAgent() error {
	return noKey(hintStart, "no ssh-agent is running")
}

func (a Agent) errDial(err error) error {
	start := hintStart
	if a.Source == SourceProfile {
		start = hintProfile
	}
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return a.noKey(start, "no ssh-agent is running at %s: %w", a, err)
	case isTimeout(err):
		return a.noKey(hintPrompt, "ssh-agent at %s does not take connections: %w", a, err)
	}
	return a.noKey(hintOther, "cannot reach ssh-agent at %s: %w", a, err)
}

func (a Agent) errTimeout(limit time.Duration) error {
	return a.noKey(hintPrompt, "ssh-agent at %s did not answer within %s", a, limit.Round(time.Millisecond))
}

// errGone leaves out at which system call it showed: that is chance.
func (a Agent) errGone() error {
	return a.noKey(hintAgain, "ssh-agent at %s went away before it answered", a)
}

func (a Agent) errGarbage(err error) error {
	return a.noKey(hintOther, "ssh-agent at %s gave an answer that makes no sense: %w", a, err)
}

func (a Agent) errEmpty() error {
	return a.noKey(hintUnlock, "ssh-agent at %s is locked or holds no key", a)
}

func (a Agent) errAbsent(key string) error {
	return a.noKey(hintAdd, "ssh-agent at %s does not hold key %s: it was not loaded, or its time ran out", a, key)
}

func (a Agent) errRefused(key string) error {
	return a.noKey(hintConfirm, "ssh-agent at %s refused to sign with key %s: not confirmed, or the key is restricted", a, key)
}

func (a Agent) errOtherKey(key string) error {
	return a.noKey(hintOther, "ssh-agent at %s answered with a signature that is not by key %s", a, key)
}

func (a Agent) errCannot(what, hint string) error {
	return a.noKey(hint, "ssh-agent at %s refused to %s", a, what)
}

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

func isGone(err error) bool {
	for _, gone := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}
