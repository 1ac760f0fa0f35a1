package plist

import (
	"bytes"
	"embed"
	"encoding/xml"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// A Config says for whom property lists are rendered. launchd expands neither ~ nor variables: every path is absolute.
type Config struct {
	// Programs is the folder of the daemons, Logs that of their standard error. Both must be set.
	Programs, Logs string
	// Environment lists NAME=value settings that the daemons need beyond what launchd gives them, such as LNK_HOME.
	Environment []string
	// Idle is how long a daemon without work stays. Zero leaves it to the daemon. Below 10 s the daemon stays 10 s, or
	// launchd would delay its next start.
	Idle time.Duration
	// Sockets lists what to listen on.
	Sockets []Socket
}

// A Socket is one socket and the daemon behind it.
type Socket struct {
	// Program is the file name of the daemon, such as lnk-gitd.
	Program string
	// Service is what the daemon asks launchd.Activate for, such as gitd.
	Service string
	// Peer is whose instance it is, empty for a service without instances.
	Peer string
	// Path is where launchd listens. Its folder must exist: launchd does not make it.
	Path string
}

// A File is one property list. Name is its file name in ~/Library/LaunchAgents.
type File struct {
	Name, Label string
	Data        []byte
}

//go:embed templates
var templates embed.FS

// Render returns one property list per socket: launchd has no template units.
func Render(c Config) ([]File, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("cannot render property lists: %w", err)
	}
	parsed, err := template.New("").Funcs(template.FuncMap{"text": escape, "name": name, "value": value}).ParseFS(templates, "templates/*")
	if err != nil {
		return nil, fmt.Errorf("cannot parse property list template: %w", err)
	}
	var files []File
	for _, s := range c.Sockets {
		j := c.job(s)
		var text bytes.Buffer
		if err := parsed.ExecuteTemplate(&text, "daemon.plist", j); err != nil {
			return nil, fmt.Errorf("cannot render %s: %w", j.Label, err)
		}
		files = append(files, File{Name: j.Label + ".plist", Label: j.Label, Data: text.Bytes()})
	}
	return files, nil
}

func (c Config) check() error {
	paths := []string{c.Programs, c.Logs}
	for _, s := range c.Sockets {
		paths = append(paths, s.Path)
	}
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%q is not an absolute path", path)
		}
	}
	if c.Idle < 0 {
		return errors.New("the idle time must not be negative")
	}
	for _, setting := range c.Environment {
		if name(setting) == "" || !strings.Contains(setting, "=") {
			return fmt.Errorf("environment setting %q is not NAME=value", setting)
		}
	}
	return nil
}

// job is what the template shows.
type job struct {
	Label, Service, Socket, Log string
	Arguments, Environment      []string
}

// labelPrefix makes labels unique on a machine, in the way of reversed domain names that launchd expects.
const labelPrefix = "io.github.lnk-suite."

func (c Config) job(s Socket) job {
	j := job{
		Label: labelPrefix + s.Program, Service: s.Service, Socket: s.Path,
		Arguments: []string{filepath.Join(c.Programs, s.Program)}, Environment: c.Environment,
	}
	if s.Peer != "" {
		j.Label += "." + s.Peer
		j.Arguments = append(j.Arguments, "--peer="+s.Peer)
	}
	if c.Idle > 0 {
		j.Arguments = append(j.Arguments, "--idle="+c.Idle.String())
	}
	j.Log = filepath.Join(c.Logs, strings.TrimPrefix(j.Label, labelPrefix)+".log")
	return j
}

func name(setting string) string {
	before, _, _ := strings.Cut(setting, "=")
	return before
}

func value(setting string) string {
	_, after, _ := strings.Cut(setting, "=")
	return after
}

// escape writes s as XML text. Characters that XML cannot hold are refused.
func escape(s string) (string, error) {
	var text strings.Builder
	if err := xml.EscapeText(&text, []byte(s)); err != nil {
		return "", err
	}
	if strings.ContainsRune(text.String(), '\ufffd') {
		return "", fmt.Errorf("%q holds a character that a property list cannot", s)
	}
	return text.String(), nil
}
