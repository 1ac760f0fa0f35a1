package transport

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/lnk-suite/lnk/services/git/pktline"
)

// The two services of git that gitd runs.
const (
	UploadPack  = "git-upload-pack"
	ReceivePack = "git-receive-pack"
)

// MaxRequest bounds the request line, in bytes: a project, a peer and the path of a socket fit many times over.
const MaxRequest = 4096

// Request is git's native request line (gitprotocol-pack, "git transport") with one parameter of ours, the agent.
type Request struct {
	Service string // UploadPack or ReceivePack
	Target  Target
	Version string // protocol version as in GIT_PROTOCOL: "", "0", "1" or "2"
	Agent   string // absolute path of the caller's ssh-agent socket, "" if it has none
}

// Line encodes the request as one packet line: `git-receive-pack /rad:z…\0host=\0\0version=2\0agent=/path\0`.
func (r Request) Line() []byte {
	line := r.Service + " /" + r.Target.String() + "\x00host=\x00"
	var extra string
	if r.Version != "" {
		extra += "version=" + r.Version + "\x00"
	}
	if r.Agent != "" {
		extra += "agent=" + r.Agent + "\x00"
	}
	if extra != "" {
		line += "\x00" + extra
	}
	return pktline.Append(nil, line)
}

// ReadRequest reads one request line from r and not one byte more: what follows it is meant for git.
func ReadRequest(r io.Reader) (Request, error) {
	line, err := pktline.Read(r, nil, MaxRequest)
	if err != nil {
		return Request{}, fmt.Errorf("cannot read git's request line: %w", err)
	}
	return ParseRequest(string(line))
}

// ParseRequest parses the data of a request line. Unknown parameters are ignored, as git-daemon does.
func ParseRequest(line string) (Request, error) {
	command, parameters, _ := strings.Cut(line, "\x00")
	service, target, found := strings.Cut(command, " /")
	if !found || !slices.Contains([]string{UploadPack, ReceivePack}, service) {
		return Request{}, fmt.Errorf("unknown request %q, expected git-upload-pack or git-receive-pack and a project", command)
	}
	request := Request{Service: service}
	var err error
	if request.Target, err = ParseTarget(target); err != nil {
		return Request{}, err
	}
	for parameter := range strings.SplitSeq(parameters, "\x00") {
		if err := request.setParameter(parameter); err != nil {
			return Request{}, err
		}
	}
	return request, nil
}

func (r *Request) setParameter(parameter string) error {
	name, value, _ := strings.Cut(parameter, "=")
	switch name {
	case "version":
		if !slices.Contains([]string{"0", "1", "2"}, value) {
			return fmt.Errorf("unknown protocol version %q", value)
		}
		r.Version = value
	case "agent":
		if !path.IsAbs(value) || path.Clean(value) != value {
			return errors.New("the path of the agent's socket must be absolute and clean")
		}
		r.Agent = value
	}
	return nil
}
