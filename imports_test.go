// Package lnk_test holds the rules that concern the whole module.
package lnk_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lnk-suite/lnk/"

// An importRule says that only the packages in by may import what (a package, or a folder when it ends in "/").
type importRule struct {
	what string
	by   []string
}

// soleImporters keeps the engines in one place each, so that lnk starts in milliseconds and a dependency can be replaced.
var soleImporters = []importRule{
	{"github.com/BurntSushi/toml", []string{"services/profile"}},
	{"github.com/coreos/go-systemd/v22/", []string{"ipc/activate", "services/daemon"}},
	{"github.com/fxamacker/cbor/v2", []string{"ipc"}},
	{"github.com/mr-tron/base58", []string{"services/keys/peer"}},
	{"github.com/nats-io/nats-server/v2/", []string{"pubsub/busd"}},
	{"github.com/nats-io/nats.go", []string{"pubsub"}},
	{"github.com/nats-io/nats.go/", []string{"pubsub"}},
	{"github.com/oasisprotocol/curve25519-voi/", []string{"services/keys"}},
	{"github.com/spf13/cobra", []string{"cmd/internal/cli"}},
	{"github.com/theupdateframework/go-tuf/v2/", []string{"services/trust"}},
}

// forbidden lists what must not be reachable, directly or not: contracts and the command carry no engine,
// the remote helper pays for nothing that it does not use.
var forbidden = []importRule{
	{"cmd/lnk", []string{"pubsub/busd", "services/git/gitd", "services/git/gitd/", "services/trust/trustd", "github.com/nats-io/nats-server/v2/"}},
	{"cmd/git-remote-lnk", []string{"golang.org/x/crypto/ssh", "github.com/nats-io/nats.go", "github.com/theupdateframework/go-tuf/v2/", "github.com/spf13/cobra"}},
	{"services/profile", []string{"golang.org/x/crypto/ssh", "golang.org/x/crypto/ssh/agent", "github.com/oasisprotocol/curve25519-voi/"}},
	{"services/token", []string{"services/keys", "golang.org/x/crypto/ssh", "github.com/oasisprotocol/curve25519-voi/"}},
	{"services/git", []string{"services/git/gitd", "github.com/nats-io/nats-server/v2/"}},
	{"services/git/gitd", []string{"pubsub/busd"}},
	{"services/trust/trustd", []string{"pubsub/busd", "services/git/gitd", "github.com/nats-io/nats-server/v2/"}},
	{"pubsub/busd", []string{"services/git/gitd"}},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// TestImportRules enforces who may import whom (docs/architecture.md).
func TestImportRules(t *testing.T) {
	packages := list(t)
	for _, p := range packages {
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		checkImports(t, name, p.Imports)
		checkReach(t, name, p.Deps)
	}
}

func checkImports(t *testing.T, name string, imports []string) {
	for _, path := range imports {
		for _, rule := range soleImporters {
			if matches(path, rule.what) && !slices.Contains(rule.by, name) {
				t.Errorf("%s imports %s, only %v may", name, path, rule.by)
			}
		}
		ownPath, ours := strings.CutPrefix(path, module)
		if ours && (name == "ipc" || name == "launchd" || strings.HasPrefix(name, "ipc/")) && !strings.HasPrefix(ownPath, "ipc") && ownPath != "launchd" {
			t.Errorf("%s imports %s: ipc and launchd stand on nothing of ours", name, ownPath)
		}
	}
}

func checkReach(t *testing.T, name string, deps []string) {
	for _, rule := range forbidden {
		if rule.what != name {
			continue
		}
		for _, dep := range deps {
			for _, bad := range rule.by {
				if matches(strings.TrimPrefix(dep, module), bad) {
					t.Errorf("%s reaches %s", name, dep)
				}
			}
		}
	}
}

func matches(path, rule string) bool {
	return path == rule || strings.HasSuffix(rule, "/") && strings.HasPrefix(path, rule)
}

func list(t *testing.T) []goPackage {
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	var packages []goPackage
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
