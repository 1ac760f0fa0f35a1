package plist

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

const id = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"

func example() Config {
	return Config{
		Programs: "/opt/a & b/bin", Logs: "/Users/u/.local/state/lnk", Environment: []string{"LNK_HOME=/Users/u/<lnk>"}, Idle: time.Hour,
		Sockets: []Socket{
			{Program: "lnk-busd", Service: "bus", Path: "/Users/u/.lnk/run/radicle/bus.sock"},
			{Program: "lnk-gitd", Service: "gitd", Peer: id, Path: "/Users/u/.lnk/run/radicle/gitd-" + id + ".sock"},
		},
	}
}

func TestRender(t *testing.T) {
	files, err := Render(example())
	if err != nil {
		t.Fatal(err)
	}
	plain := example()
	plain.Environment, plain.Idle, plain.Sockets = nil, 0, plain.Sockets[:1]
	more, err := Render(plain)
	if err != nil {
		t.Fatal(err)
	}
	more[0].Name = "plain.plist"
	for _, f := range append(files, more...) {
		golden(t, filepath.Join("testdata", f.Name), f.Data)
		if err := checkPlist(f.Data); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s", path, got)
	}
}

// allowed are the keys that we mean to use: launchd takes no notice of one that is misspelt.
var allowed = []string{
	"Label", "ProgramArguments", "EnvironmentVariables", "LNK_HOME", "Sockets", "bus", "gitd", "SockFamily", "SockPathMode",
	"SockPathName", "SockType", "ExitTimeOut", "Umask", "StandardErrorPath",
}

// checkPlist wants well-formed XML in which every dict alternates between known keys and values.
func checkPlist(data []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(data))
	var open []string
	children := map[int][]string{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			children[len(open)] = append(children[len(open)], token.Name.Local)
			open = append(open, token.Name.Local)
			children[len(open)] = nil
		case xml.EndElement:
			if token.Name.Local == "dict" && !alternates(children[len(open)]) {
				return fmt.Errorf("a dict holds %v", children[len(open)])
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && open[len(open)-1] == "key" && !slices.Contains(allowed, string(token)) {
				return fmt.Errorf("unknown key %q", token)
			}
		}
	}
}

func alternates(names []string) bool {
	for i, name := range names {
		if (i%2 == 0) != (name == "key") {
			return false
		}
	}
	return len(names)%2 == 0
}

func TestCheckPlist(t *testing.T) {
	for _, bad := range []string{"<dict><key>Label</key></dict>", "<dict><key>Lable</key><string/></dict>", "<dict><string/></dict>", "<dict>"} {
		if checkPlist([]byte(bad)) == nil {
			t.Errorf("checkPlist takes %s", bad)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"not an absolute path":         func(c *Config) { c.Sockets[0].Path = "~/bus.sock" },
		"negative":                     func(c *Config) { c.Idle = -1 },
		"is not NAME=value":            func(c *Config) { c.Environment = []string{"=x"} },
		"that a property list cannot":  func(c *Config) { c.Programs = "/a\x00b" },
		`"bin" is not an absolute pat`: func(c *Config) { c.Programs = "bin" },
	} {
		c := example()
		change(&c)
		if _, err := Render(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}
