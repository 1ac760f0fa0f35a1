package sshd

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/lnk-suite/lnk/services/git/transport"
)

const (
	someProject = "z2XrHeyfVzMBQTuLhaCs4R5A8ppXP"
	somePeer    = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
)

func TestParseCommand(t *testing.T) {
	own, other := transport.Target{Project: someProject}, transport.Target{Project: someProject, Peer: somePeer}
	for command, want := range map[string]transport.Request{
		"git-upload-pack '/rad:" + someProject + "'":                    {Service: transport.UploadPack, Target: own},
		"git-upload-pack '/rad:" + someProject + ".git'":                {Service: transport.UploadPack, Target: own},
		"git-upload-pack '/" + someProject + ".git'":                    {Service: transport.UploadPack, Target: own},
		"git-upload-pack 'rad:" + someProject + "'":                     {Service: transport.UploadPack, Target: own},
		"git upload-pack '/rad:" + someProject + "'":                    {Service: transport.UploadPack, Target: own},
		"git-receive-pack '/rad:" + someProject + "'":                   {Service: transport.ReceivePack, Target: own},
		"git receive-pack '/rad:" + someProject + "'":                   {Service: transport.ReceivePack, Target: own},
		"git-upload-pack '/rad:" + someProject + "/" + somePeer + "'":   {Service: transport.UploadPack, Target: other},
		"git-receive-pack '/rad:" + someProject + "/" + somePeer + "/'": {Service: transport.ReceivePack, Target: other},
	} {
		if got, err := parseCommand(command); err != nil || got != want {
			t.Errorf("parseCommand(%q) = %+v, %v, want %+v", command, got, err, want)
		}
	}
	for _, command := range []string{
		"", "git-upload-pack", "git-upload-pack /" + someProject, "git-upload-pack '/" + someProject, "git-upload-pack  '/" + someProject + "'",
		"git-upload-archive '/" + someProject + "'", "git-upload-pack --strict '/" + someProject + "'", "git-upload-pack '/../" + someProject + "'",
		"git-upload-pack '/" + someProject + "'; true", "git-upload-pack '/" + someProject + "' '", "git-upload-pack '//" + someProject + "'",
		"git-upload-pack '/" + someProject + "\x00'", " git-upload-pack '/" + someProject + "'", "git-upload-pack '", "git-upload-pack ''",
		"git-upload-pack '/" + strings.Repeat("z", maxCommand) + "'",
	} {
		if got, err := parseCommand(command); err == nil {
			t.Errorf("parseCommand(%q) = %+v, want an error", command, got)
		}
	}
}

func variable(name, value string) []byte {
	return ssh.Marshal(struct{ Name, Value string }{name, value})
}

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // a short relative path binds where the absolute one may be too long
	l, err := net.Listen("unix", "s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	agent := filepath.Join(dir, "s")
	var e environment
	for _, accepted := range [][2]string{{"GIT_PROTOCOL", "version=0"}, {"GIT_PROTOCOL", "version=2"}, {"SSH_AUTH_SOCK", agent}} {
		if !e.set(variable(accepted[0], accepted[1])) {
			t.Errorf("%v was refused", accepted)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, refused := range [][2]string{
		{"GIT_PROTOCOL", "version=3"}, {"GIT_PROTOCOL", "version=2:x"}, {"GIT_PROTOCOL", "2"}, {"GIT_PROTOCOL", "version="}, {"GIT_PROTOCOL", "version=12"},
		{"SSH_AUTH_SOCK", "s"}, {"SSH_AUTH_SOCK", dir + "/../" + filepath.Base(dir) + "/s"}, {"SSH_AUTH_SOCK", file}, {"SSH_AUTH_SOCK", ""},
		{"SSH_AUTH_SOCK", "/no/such/socket"}, {"GIT_DIR", "/"}, {"LD_PRELOAD", "x"}, {"PATH", "/"}, {"git_protocol", "version=1"},
	} {
		if e.set(variable(refused[0], refused[1])) {
			t.Errorf("%v was accepted", refused)
		}
	}
	if e.set([]byte{0, 0, 1}) {
		t.Error("a torn payload was accepted")
	}
	if want := (environment{"2", agent}); e != want {
		t.Errorf("environment is %+v, want %+v", e, want)
	}
}

// Whatever is accepted names a service and a target, and nothing that a path or a line could be made to say more with.
func FuzzRequest(f *testing.F) {
	f.Add("version=2", "git-upload-pack '/rad:"+someProject+".git'")
	f.Add("version=1", "git receive-pack '"+someProject+"/"+somePeer+"'")
	f.Fuzz(func(t *testing.T, protocol, command string) {
		var e environment
		e.set(variable("GIT_PROTOCOL", protocol))
		request, err := e.request(ssh.Marshal(struct{ Command string }{command}))
		if err != nil {
			return
		}
		again, err := transport.ReadRequest(strings.NewReader(string(request.Line())))
		if err != nil || again != request {
			t.Errorf("%+v became %+v, %v", request, again, err)
		}
	})
}

// Requests come from the wire: a payload of any bytes is an answer, never a panic.
func FuzzPayload(f *testing.F) {
	f.Add(variable("GIT_PROTOCOL", "version=2"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		var e environment
		e.set(payload)
		_, _ = e.request(payload)
	})
}
