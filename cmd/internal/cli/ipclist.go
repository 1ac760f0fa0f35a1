package cli

import (
	"cmp"
	"context"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/token"
)

type listArgs struct {
	NoStart bool `json:"no_start" help:"look at the files alone: no daemon is started, and no service named"`
}

// socketInfo is one socket in the runtime folder.
type socketInfo struct {
	Name    string   `json:"name" cbor:"0,keyasint"`
	Socket  string   `json:"socket" cbor:"1,keyasint"`
	Mode    string   `json:"mode" cbor:"2,keyasint"`                          // as ls prints it
	Service string   `json:"service,omitempty" cbor:"3,keyasint,omitempty"`   // as it calls itself
	Version string   `json:"version,omitempty" cbor:"4,keyasint,omitempty"`   // of the daemon
	Callers string   `json:"callers" cbor:"5,keyasint"`                       // the user who may call
	Token   []string `json:"token_for,omitempty" cbor:"6,keyasint,omitempty"` // methods that want a token
	Problem string   `json:"problem,omitempty" cbor:"7,keyasint,omitempty"`   // why service and version are missing
}

func ipcList(a *app) *cobra.Command {
	return verb[listArgs, []socketInfo]{
		name:  "list",
		short: "list the sockets of the suite",
		long: `List prints the sockets in the runtime folder, which service answers on each, its version, who may call it, and for which
methods the settings demand a token. A service that sleeps is started by the question; --no-start asks nobody.`,
		cannot: "list the sockets",
		exits:  []int{exitNotPermitted},
		run:    a.listSockets,
		text: func(w io.Writer, list []socketInfo) error {
			return table(w, "NAME\tSERVICE\tVERSION\tCALLERS\tSOCKET", func(row func(...any)) {
				for _, s := range list {
					row(s.Name, cmp.Or(s.Service, "-"), cmp.Or(s.Version, s.Problem, "-"), s.callers(), s.Socket)
				}
			})
		},
	}.command(a)
}

func (s socketInfo) callers() string {
	if len(s.Token) == 0 {
		return s.Callers
	}
	return s.Callers + ", with a token for " + strings.Join(s.Token, " ")
}

func (a *app) listSockets(ctx context.Context, args listArgs) ([]socketInfo, error) {
	dirs, err := a.dirs()
	if err != nil {
		return nil, err
	}
	list, err := socketFiles(dirs)
	if err != nil || args.NoStart {
		return list, err
	}
	demand, err := token.NewGuard(dirs).Demand()
	if err != nil {
		return nil, err
	}
	var asking sync.WaitGroup
	for i := range list {
		asking.Go(func() { a.introduce(ctx, &list[i], demand) })
	}
	asking.Wait()
	return list, nil
}

func socketFiles(dirs profile.Dirs) ([]socketInfo, error) {
	entries, err := os.ReadDir(dirs.Runtime)
	if err != nil && !isMissing(err) {
		return nil, err
	}
	owner := "the user " + ownName() // both ends refuse sockets of others
	list := []socketInfo{}
	for _, entry := range entries {
		name, isSocket := strings.CutSuffix(entry.Name(), ".sock")
		if info, err := entry.Info(); err == nil && isSocket && info.Mode().Type() == fs.ModeSocket {
			list = append(list, socketInfo{Name: name, Socket: filepath.Join(dirs.Runtime, entry.Name()), Mode: "s" + info.Mode().Perm().String()[1:], Callers: owner})
		}
	}
	return list, nil
}

func ownName() string {
	if self, err := user.Current(); err == nil {
		return self.Username
	}
	return "who started it"
}

// introduceLimit is how long a service has to say what it is.
const introduceLimit = 5 * time.Second

// introduce has the service say what it is.
func (a *app) introduce(ctx context.Context, s *socketInfo, demand token.Patterns) {
	if isBus(s.Socket) {
		s.Service, s.Problem = "busd", "speaks NATS"
		return
	}
	ctx, cancel := context.WithTimeout(ctx, introduceLimit)
	defer cancel()
	client := ipc.NewClient(s.Socket, userAgent)
	defer client.Close()
	description, err := ipc.Describe.Call(ctx, client, ipc.Empty{})
	if err != nil {
		s.Problem = err.Error()
		return
	}
	s.Service, s.Version = description.Service, description.Version
	for _, m := range description.Methods {
		if demand.Cover(m.Name) && !strings.HasPrefix(m.Name, "ipc.") {
			s.Token = append(s.Token, m.Name)
		}
	}
}
