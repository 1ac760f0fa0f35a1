package gitd

import (
	"strconv"

	"github.com/lnk-suite/lnk/services/git/transport"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/project"
)

// Limits bound what one transfer may use. The zero value of a field means its default.
type Limits struct {
	Input     int64 // bytes that a push may send, default 8 GiB; git's receive.maxInputSize
	Memory    int64 // address space of each git process in bytes, default 16 GiB: packs are mapped whole. Linux only
	CPU       int   // seconds of processor time of each git process, default 3600. Linux only
	Silence   int   // seconds that upload-pack waits for a silent client, default 600
	Transfers int   // transfers at a time, default 16; more wait for their turn
}

func (l Limits) withDefaults() Limits {
	if l.Input == 0 {
		l.Input = 8 << 30
	}
	if l.Memory == 0 {
		l.Memory = 16 << 30
	}
	if l.CPU == 0 {
		l.CPU = 3600
	}
	if l.Silence == 0 {
		l.Silence = 600
	}
	if l.Transfers == 0 {
		l.Transfers = 16
	}
	return l
}

// setting is one variable of git's configuration.
type setting struct{ name, value string }

// commonSettings hold for every git process: nothing of the repository's is run, no maintenance starts by itself.
func (e *engine) commonSettings() []setting {
	return []setting{
		{"core.hooksPath", e.hooks},
		{"safe.bareRepository", "explicit"},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
		// Several pushes and fetches of one project meet at packed-refs: waiting beats failing.
		{"core.filesRefLockTimeout", "2000"},
		{"core.packedRefsTimeout", "2000"},
	}
}

// receiveSettings are those of a push into the namespace of id.
func (e *engine) receiveSettings(id peer.ID) []setting {
	return append(e.commonSettings(),
		setting{"transfer.fsckObjects", "true"},
		setting{"receive.maxInputSize", strconv.FormatInt(e.limits.Input, 10)},
		setting{"receive.autogc", "false"},
		setting{"receive.procReceiveRefs", "refs/"},
		setting{"receive.advertisePushOptions", "true"},
		setting{"receive.advertiseAtomic", "true"},
		// Other peers' refs are nothing to push to, and advertising or checking against 100,000 of them takes 200 ms.
		// The project's own branches stay visible: what a peer forked from need not be sent again.
		setting{"receive.hideRefs", "^refs/namespaces/"},
		setting{"receive.hideRefs", "!^" + project.Namespace(id)},
		// Seen by `git push --mirror`, it would be deleted with what the client does not have.
		setting{"receive.hideRefs", "^" + project.SignedRefsRef(id)},
		// The quarantine makes the connectivity check ask the same repository a second time for the refs that it
		// has just read, in a process of its own (2 ms). Nothing is what true prints.
		setting{"core.alternateRefsCommand", "true"},
	)
}

// uploadSettings are those of a fetch; whole serves the project's own branches instead of one peer's namespace.
func (e *engine) uploadSettings(whole bool) []setting {
	settings := append(e.commonSettings(), setting{"uploadpack.allowFilter", "true"})
	if whole {
		settings = append(settings, setting{"uploadpack.hideRefs", "refs/namespaces/"}, setting{"uploadpack.hideRefs", "refs/rad/"})
	}
	return settings
}

// environment is all that a git process gets to see: nothing of the daemon's own environment but PATH.
func (e *engine) environment(settings []setting, more ...string) []string {
	env := []string{
		"PATH=" + e.searchPath,
		"LC_ALL=C", // messages of update-ref are parsed
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_COUNT=" + strconv.Itoa(len(settings)),
	}
	for i, s := range settings {
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+s.name, "GIT_CONFIG_VALUE_"+n+"="+s.value)
	}
	return append(env, more...)
}

// protocol is the variable that tells git's server the version that the client asked for.
func protocol(r transport.Request) []string {
	if r.Version == "" {
		return nil
	}
	return []string{"GIT_PROTOCOL=version=" + r.Version}
}
