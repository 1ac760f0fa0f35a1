package units

import (
	"bytes"
	"embed"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

// A Config says for whom units are rendered.
type Config struct {
	// Programs is the folder of lnk and the daemons. It must be set and absolute.
	Programs string
	// Environment lists NAME=value settings that the daemons need beyond what the manager has, such as LNK_HOME.
	Environment []string
	// Idle is how long a daemon without work stays. Zero leaves it to the daemon.
	Idle time.Duration
	// Dirs and Peers say whose sockets need a drop-in because the usual path is too long for a socket. Both may be empty.
	Dirs  profile.Dirs
	Peers []peer.ID
	// Seeds are the unattended peers to set up.
	Seeds []Seed
}

// A File is one rendered file. Path is relative to a folder that systemd searches, such as ~/.config/systemd or
// /usr/lib/systemd: user/lnk-busd.socket, user-preset/90-lnk.preset.
type File struct {
	Path string
	Data []byte
}

//go:embed templates
var templates embed.FS

// targets names where each template belongs, in the order in which Render returns the files.
var targets = []string{
	"user/lnk-busd.socket", "user/lnk-busd.service",
	"user/lnk-trustd.socket", "user/lnk-trustd.service", "user/lnk-trustd-renew.timer", "user/lnk-trustd-renew.service",
	"user/lnk-trustd-http.socket", "user/lnk-trustd-http@.service",
	"user/lnk-gitd@.socket", "user/lnk-gitd@.service",
	"user/lnk-seed-agent@.socket", "user/lnk-seed-agent@.service", "user/lnk-seed-keys@.service",
	"user-preset/90-lnk.preset",
}

// Render returns the units and the preset. It refuses values that a unit file cannot hold.
func Render(c Config) ([]File, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("cannot render units: %w", err)
	}
	parsed, err := template.New("").Funcs(c.funcs()).ParseFS(templates, "templates/*")
	if err != nil {
		return nil, fmt.Errorf("cannot parse unit templates: %w", err)
	}
	var files []File
	for _, path := range targets {
		var text bytes.Buffer
		if err := parsed.ExecuteTemplate(&text, filepath.Base(path), c); err != nil {
			return nil, fmt.Errorf("cannot render %s: %w", path, err)
		}
		files = append(files, File{Path: path, Data: text.Bytes()})
	}
	for _, s := range c.Seeds {
		files = append(files, s.file(c))
	}
	return append(files, c.shortened()...), nil
}

// shortened returns the drop-ins of the peers whose socket has not the path that the template gives it (profile.Dirs.Socket).
func (c Config) shortened() []File {
	var files []File
	for _, id := range c.Peers {
		files = append(files, c.shorten("gitd", id)...)
	}
	for _, s := range c.Seeds {
		files = append(files, c.shorten("seed-agent", s.Peer)...)
	}
	return files
}

func (c Config) shorten(service string, id peer.ID) []File {
	path := c.Dirs.Socket(service, id)
	if c.Dirs.Runtime == "" || filepath.Base(path) == service+"-"+string(id)+".sock" {
		return nil
	}
	text := "[Socket]\nListenStream=\nListenStream=%t/radicle/" + filepath.Base(path) + "\n"
	return []File{{Path: "user/lnk-" + service + "@" + string(id) + ".socket.d/" + dropIn, Data: []byte(text)}}
}

// dropIn is the file name of what shortened returns.
const dropIn = "short-path.conf"

func (c Config) check() error {
	if !filepath.IsAbs(c.Programs) {
		return fmt.Errorf("the folder of the programs must be an absolute path, not %q", c.Programs)
	}
	if c.Idle < 0 {
		return ipc.Errorf(ipc.BadRequest, "the idle time must not be negative")
	}
	if err := printable(c.Programs); err != nil {
		return err
	}
	for _, setting := range c.Environment {
		if name, _, ok := strings.Cut(setting, "="); !ok || name == "" {
			return fmt.Errorf("environment setting %q is not NAME=value", setting)
		}
		if err := printable(setting); err != nil {
			return err
		}
	}
	for _, s := range c.Seeds {
		if err := s.check(); err != nil {
			return err
		}
	}
	return nil
}

// printable refuses what would end a line of a unit file, or need an escape that not every setting knows.
func printable(s string) error {
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }); i >= 0 {
		return fmt.Errorf("%q holds a character that a unit file cannot", s)
	}
	return nil
}

func (c Config) funcs() template.FuncMap {
	return template.FuncMap{
		"program":     func(name string) string { return quote(filepath.Join(c.Programs, name)) },
		"idle":        c.idleFlag,
		"environment": c.environment,
	}
}

func (c Config) idleFlag() string {
	if c.Idle == 0 {
		return ""
	}
	return " --idle=" + c.Idle.String()
}

func (c Config) environment() []string {
	lines := make([]string, 0, len(c.Environment))
	for _, setting := range c.Environment {
		lines = append(lines, quote(setting))
	}
	return lines
}

// quote writes s as one word of a unit file (systemd.syntax(7)): specifiers doubled, quotes and backslashes escaped.
func quote(s string) string {
	return `"` + strings.NewReplacer(`%`, `%%`, `\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
