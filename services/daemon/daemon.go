// Package daemon is the one skeleton that the main function of every daemon calls: flags, listeners, logging, signals,
// the words that the service manager wants to hear, and the exit status.
//
// It owns the order of starting and leaving. It does not own accepting and draining (ipc/activate) nor what a daemon
// does: that is the [Service] that Spec.Start returns.
package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/ipc/activate"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/token"
)

// Spec is what a daemon's main function knows about it.
type Spec struct {
	// Program is the name of the executable, e.g. "lnk-gitd".
	Program string
	// Service is the stem of the socket file and the name that the service manager gives the socket, e.g. "gitd".
	Service string
	// Short says in one line what the daemon does, for --help.
	Short string
	// PerPeer is true for a service with one instance, and one socket, per peer id. It then needs --peer.
	PerPeer bool
	// HoldConns keeps the daemon running while somebody is connected ([activate.Server.HoldConns]).
	HoldConns bool
	// Start makes the service. Callers are waiting already: it opens what every call needs and nothing else. Its ctx ends
	// after Close, so background work may use it.
	Start func(ctx context.Context, env Env) (Service, error)
}

// Env is what a service knows about where it runs.
type Env struct {
	Log  *slog.Logger
	Dirs profile.Dirs
	// Peer is whose instance this is; empty for a service without instances.
	Peer peer.ID
	// Activity is where the service counts what must keep the daemon from leaving.
	Activity *activate.Activity
	// Tokens stands in front of the service's methods: its Authorize is that of the ipc.Server.
	Tokens  *token.Guard
	Getenv  func(string) string
	Version string
}

// Service is a running daemon's own part.
type Service interface {
	// Serve serves one connection and returns when that is done: see [activate.Server.Handle].
	Serve(ctx context.Context, c *activate.Conn)
	// Close is called once, after the last connection has ended: it stops what runs in the background, waits for it, and
	// flushes. ctx ends after 5 s; the process ends soon after, whatever Close does.
	Close(ctx context.Context) error
}

// Exit codes of every daemon. Leaving when idle or told is success, and the service manager does not restart it.
const (
	exitOK = iota
	exitFailure
	exitUsage
)

// grace is how long running calls may finish after SIGTERM, and then Close.
const grace = 5 * time.Second

// Main runs the daemon with the arguments, environment and sockets of this process, until it is idle or gets SIGTERM or
// SIGINT, and returns its exit code: 0 for leaving, 1 for a failure, 2 for wrong flags. It returns soon after the signal even
// if the service hangs.
func Main(spec Spec) int {
	// A log line to a closed pipe must not end the daemon. Catching instead of ignoring: children get the default back.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	done := make(chan int, 1)
	go func() { done <- run(ctx, spec, os.Args[1:], process{os.Getenv, os.Stdout, os.Stderr}) }()
	select {
	case code := <-done:
		return code
	case <-ctx.Done():
	}
	select {
	case code := <-done:
		return code
	case <-time.After(hopeless):
		return exitFailure
	}
}

// hopeless is longer than calls and Close may take: what hangs then is not going to return.
const hopeless = 2*grace + 2*time.Second

// process is what run uses of the process around it.
type process struct {
	getenv         func(string) string
	stdout, stderr io.Writer
}

func run(ctx context.Context, spec Spec, args []string, p process) int {
	opts, err := parse(spec, args, p.stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		fmt.Fprintf(p.stderr, "%s: %v\n%s: hint: %s --help\n", spec.Program, err, spec.Program, spec.Program)
		return exitUsage
	case opts.version:
		fmt.Fprintln(p.stdout, spec.Program, version())
		return exitOK
	}
	log := newLogger(p.stderr, spec.Program, p.getenv("JOURNAL_STREAM"))
	if err := serve(ctx, spec, opts, log, p.getenv); err != nil {
		tell(log, "STATUS="+err.Error())
		logFailure(log, err)
		return exitFailure
	}
	return exitOK
}

func serve(ctx context.Context, spec Spec, opts options, log *slog.Logger, getenv func(string) string) (err error) {
	dirs, err := profile.NewDirs(getenv)
	if err != nil {
		return err
	}
	listeners, err := listen(spec, opts, dirs, log)
	if err != nil {
		return err
	}
	serviceCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	env := Env{Log: log, Dirs: dirs, Peer: opts.peer, Activity: new(activate.Activity), Tokens: token.NewGuard(dirs), Getenv: getenv, Version: version()}
	service, err := spec.Start(serviceCtx, env)
	if err != nil {
		closeListeners(listeners)
		return fmt.Errorf("cannot start: %w", err)
	}
	tell(log, sd.SdNotifyReady) // also when the daemon leaves at once: without it, systemd takes that for a failure
	server := activate.Server{
		Handle: service.Serve, Activity: env.Activity, Idle: lingering(opts.idle, listeners), Grace: grace, HoldConns: spec.HoldConns, Log: log,
		Leaving: func() { tell(log, sd.SdNotifyStopping) },
	}
	return errors.Join(server.Serve(ctx, listeners...), closeService(serviceCtx, service))
}

func logFailure(log *slog.Logger, err error) {
	if hint := ipc.HintOf(err); hint != "" {
		log = log.With("hint", hint)
	}
	log.Error("cannot go on", "err", err)
}

// closeService does not let a service that hangs keep its successor from starting.
func closeService(ctx context.Context, service Service) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- service.Close(ctx) }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("cannot close: %w", err)
		}
		return nil
	case <-time.After(grace + time.Second):
		return errors.New("cannot close: the service does not return")
	}
}

// tell says something to the service manager, if there is one that listens. Not being heard is not a reason to fail.
func tell(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("cannot tell the service manager", "err", err, "state", state)
	}
}
