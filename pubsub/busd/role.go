package busd

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/lnk-suite/lnk/ipc/peercred"
)

// A Role is what a process is to the bus: a service of the suite, or a script. Everybody may read everything; the
// role says under which <service> of rad.<peer>.<service>.> it may publish.
type Role string

// Script is everything that is not recognised as one of our services.
const Script Role = "script"

// Anyone may publish on every topic. RoleOf never says so; tests do.
const Anyone Role = "anyone"

// programs maps the suite's daemons to the service whose events they publish.
var programs = map[string]Role{
	"lnk-gitd":    "git",
	"lnk-noded":   "node",
	"lnk-trustd":  "trust",
	"lnk-attestd": "attest",
	"lnk-opampd":  "opamp",
	"lnk-agentd":  "agent",
	"lnk-webd":    "web",
}

// RoleOf tells what the process at the other end is: by its executable, if that lies beside our own, or by the
// systemd unit it runs in. Where the kernel says nothing about the process, it is a script.
func RoleOf(cred peercred.Cred) Role {
	if cred.PID <= 0 {
		return Script
	}
	own, err := os.Executable()
	if err != nil {
		return Script
	}
	if role, ok := roleOfProgram(executable(cred.PID), filepath.Dir(own)); ok {
		return role
	}
	if role, ok := roleOfUnit(unit(cred.PID)); ok {
		return role
	}
	return Script
}

// roleOfProgram knows our programs in folder. After an upgrade the kernel marks the old file as deleted.
func roleOfProgram(path, folder string) (Role, bool) {
	path = strings.TrimSuffix(path, " (deleted)")
	if path == "" || filepath.Dir(path) != folder {
		return "", false
	}
	role, ok := programs[filepath.Base(path)]
	return role, ok
}

// roleOfUnit knows our units, lnk-gitd@z6Mk….service or lnk-trustd.service.
func roleOfUnit(name string) (Role, bool) {
	name, isService := strings.CutSuffix(name, ".service")
	if !isService {
		return "", false
	}
	name, _, _ = strings.Cut(name, "@")
	role, ok := programs[name]
	return role, ok
}

// clientSubjects is what reading takes, for every role: the JetStream API as far as it concerns consumers of RAD,
// acknowledgements, answers, and tmp.> for chatter that nobody stores. Managing streams is not among it. NATS does not
// check where a client wants an answer sent, so one can have the server's acknowledgement stored as an event of any
// topic; it has neither id nor schema.
var clientSubjects = []string{
	"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO." + StreamName,
	"$JS.API.STREAM.MSG.GET." + StreamName, "$JS.API.DIRECT.GET." + StreamName, "$JS.API.DIRECT.GET." + StreamName + ".>",
	"$JS.API.CONSUMER.>", "$JS.ACK." + StreamName + ".>", "$JS.FC." + StreamName + ".>", "_INBOX.>", "tmp.>",
}

// self is the bus itself; no connection from outside gets it.
const self Role = "bus"

// user returns what NATS needs to know about a role.
func (r Role) user() *server.User {
	if r == self {
		return &server.User{Username: string(r)}
	}
	topics := "rad.*." + string(r) + ".>"
	if r == Anyone {
		topics = "rad.>"
	}
	allow := append([]string{topics}, clientSubjects...)
	return &server.User{
		Username:    string(r),
		Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: allow}},
	}
}
