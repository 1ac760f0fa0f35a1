package sshd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git/transport"
)

// maxCommand bounds what a client may ask to run, in bytes.
const maxCommand = 1024

var errNoCommand = ipc.Errorf(ipc.Unsupported, "there is no shell and no subsystem here").WithHint("git clone ssh://lnk/rad:z…")

// environment is what a client may set: the protocol version that git wants, and the agent that is to sign a push.
type environment struct{ version, agent string }

// set takes one variable (RFC 4254 section 6.4) and reports whether it was accepted.
func (e *environment) set(payload []byte) bool {
	var variable struct{ Name, Value string }
	if ssh.Unmarshal(payload, &variable) != nil {
		return false
	}
	switch variable.Name {
	case "GIT_PROTOCOL":
		version, ok := strings.CutPrefix(variable.Value, "version=")
		if !ok || len(version) != 1 || !strings.Contains("012", version) {
			return false
		}
		e.version = version
		return true
	case "SSH_AUTH_SOCK":
		if !isOurSocket(variable.Value) {
			return false
		}
		e.agent = variable.Value
		return true
	}
	return false
}

// isOurSocket reports whether path is a socket that this user made. Someone else's would get to know what we sign.
func isOurSocket(path string) bool {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return false
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && owner.Uid == uint32(os.Geteuid())
}

// request makes git's request of an exec request (RFC 4254 section 6.5) and of what was set before.
func (e *environment) request(payload []byte) (transport.Request, error) {
	var exec struct{ Command string }
	if err := ssh.Unmarshal(payload, &exec); err != nil {
		return transport.Request{}, fmt.Errorf("cannot read the command: %w", err)
	}
	request, err := parseCommand(exec.Command)
	request.Version, request.Agent = e.version, e.agent
	return request, err
}

// parseCommand understands what git runs at the other end of ssh and nothing else:
//
//	git-upload-pack '/rad:z….git', or git-receive-pack
//
// The space of "git upload-pack", the slash, "rad:" and ".git" are up to the client; /<peer> may follow the project.
func parseCommand(command string) (transport.Request, error) {
	if len(command) > maxCommand {
		return transport.Request{}, ipc.Errorf(ipc.TooLarge, "a command of %d bytes, at most %d are accepted", len(command), maxCommand)
	}
	for _, service := range []string{transport.UploadPack, transport.ReceivePack} {
		for _, name := range []string{service, strings.Replace(service, "-", " ", 1)} {
			path, ok := strings.CutPrefix(command, name+" '")
			if !ok {
				continue
			}
			if path, ok = strings.CutSuffix(path, "'"); !ok {
				break
			}
			target, err := transport.ParseTarget(strings.TrimPrefix(path, "/"))
			return transport.Request{Service: service, Target: target}, err
		}
	}
	return transport.Request{}, ipc.Errorf(ipc.Unsupported, "cannot run %q: only git-upload-pack and git-receive-pack of a project are served here", command)
}
