package gitd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git/transport"
	"github.com/lnk-suite/lnk/services/project"
)

// push serves receive-pack for the namespace of this daemon's peer.
func (s *Server) push(ctx context.Context, conn *os.File, repo *repository, request transport.Request) error {
	hook, err := newHookLine()
	if err != nil {
		return err
	}
	defer hook.close()
	env := s.engine.environment(s.engine.receiveSettings(s.peer), append(protocol(request), "GIT_NAMESPACE="+string(s.peer))...)
	var attended error
	err = s.engine.serve(ctx, conn, env, []string{"receive-pack", repo.disk.Dir}, []*os.File{hook.theirs}, func() {
		hook.passOn()
		// Not ended with the connection: once refs have moved, their events are due whether or not anybody waits.
		attended = s.attend(context.WithoutCancel(ctx), hook, repo, request.Agent)
	})
	return errors.Join(err, attended)
}

// attend waits for the hook of a push, does what it asks for, and waits for git to end.
func (s *Server) attend(ctx context.Context, hook *hookLine, repo *repository, agent string) error {
	defer hook.ours.Close() // a hook that still waits sees that nobody will answer
	p := &session{server: s, repo: repo, agent: agent, began: time.Now()}
	var warming sync.WaitGroup
	warming.Go(func() { p.warmUp(ctx) })
	defer warming.Wait()
	files, err := hook.accept()
	if errors.Is(err, io.EOF) {
		return nil // everything was up to date, or git itself refused it all
	}
	if err != nil {
		return err
	}
	err = p.serve(ctx, files)
	files.close()
	err = errors.Join(err, hook.finish(0))
	hook.awaitEnd()
	return err
}

// session is one push, from the moment that git receive-pack starts to take it.
type session struct {
	server *Server
	repo   *repository
	agent  string // path of the caller's agent, "" for none
	user   messages
	began  time.Time      // before anything was stored
	made   step           // what was committed
	disk   errgroup.Group // waits until the disk has the push
}

// warmUp uses the time that git needs for the pack: it starts the process that will commit, and reads what a daemon that
// has just started does not know yet. Whatever goes wrong here will again, in the middle of the push, and be told there.
func (p *session) warmUp(ctx context.Context) {
	release, err := p.repo.acquire(ctx)
	if err != nil {
		return
	}
	defer release()
	_ = p.repo.ready()
	_, _ = p.known(ctx)
}

// serve speaks with git receive-pack through the files of its hook.
func (p *session) serve(ctx context.Context, files hookFiles) error {
	o, err := readOrder(files.in, files.out)
	if err != nil {
		return err
	}
	p.user = messages{files.err}
	err = p.obey(ctx, o)
	if err != nil {
		o.refuseAll(err.Error())
		p.user.problem(err)
	}
	if _, writeErr := files.out.Write(o.report()); writeErr != nil {
		err = errors.Join(err, fmt.Errorf("cannot report to git receive-pack: %w", writeErr))
	}
	return err
}

// obey does what the client asked for, as one transaction, and publishes what came of it. An error speaks against
// everything that was not refused for a reason of its own.
func (p *session) obey(ctx context.Context, o *order) error {
	release, err := p.repo.acquire(ctx)
	if err != nil {
		return err
	}
	moved, err := p.move(ctx, o)
	release()
	if err != nil || !moved {
		return err
	}
	deferred, unsafe := p.announce(ctx, p.made.tip, p.made)
	if deferred != nil {
		p.user.problem(fmt.Errorf("the push has landed, its events are deferred until the bus is back: %w", deferred))
	}
	if unsafe != nil {
		p.user.problem(fmt.Errorf("the push has landed, but may not outlast the machine: %w", unsafe))
	}
	return nil
}

// announce publishes the events up to tip while the disk takes what they are about.
func (p *session) announce(ctx context.Context, tip project.OID, made ...step) (deferred, unsafe error) {
	deferred = p.server.outbox.publish(ctx, p.repo, tip, made...)
	return deferred, p.disk.Wait()
}

// maxAttempts bounds how often a push is signed again because somebody else moved refs meanwhile.
const maxAttempts = 8

// move makes the changes that nothing speaks against. Those that somebody else was faster with are refused, and the rest
// is tried again, as git itself does; unless the push is atomic.
func (p *session) move(ctx context.Context, o *order) (moved bool, err error) {
	for range maxAttempts {
		if err := p.review(ctx, o); err != nil {
			return false, err
		}
		if o.atomic && len(o.open()) < len(o.commands) {
			o.refuseAll("atomic push failed")
		}
		changes := o.changes()
		if len(changes) == 0 {
			return false, nil
		}
		err := p.commit(ctx, changes)
		if err == nil {
			return true, nil
		}
		if err := p.yield(o, err); err != nil {
			return false, err
		}
	}
	return false, ipc.Errorf(ipc.Conflict, "other pushes to this project were faster %d times", maxAttempts).WithHint("push again")
}

// yield finds out whose fault a failed transaction is, so that the rest can be tried again. An error means everybody's.
func (p *session) yield(o *order, err error) error {
	conflict, ok := errors.AsType[*refConflict](err)
	if !ok {
		return err
	}
	if conflict.moved() || conflict.removeStaleLock(p.repo, time.Now()) {
		p.repo.state = nil // the next review looks where everything is now
		return nil
	}
	prefix := project.Namespace(p.repo.peer)
	for _, c := range o.open() {
		if prefix+c.ref == conflict.ref {
			c.refused = strings.ReplaceAll(conflict.why, prefix, "")
			return nil
		}
	}
	return err
}

// commit signs the refs as they are after changes and writes both in one transaction.
func (p *session) commit(ctx context.Context, changes []*command) error {
	s, err := p.known(ctx)
	if err != nil {
		return err
	}
	next := s.signed.Next(s.tip, s.after(changes), s.identity.Blob)
	tip, err := p.sign(ctx, next)
	if err != nil {
		return err
	}
	canonical, err := p.repo.agreed(ctx, s, next)
	if err != nil {
		return err
	}
	updates := p.updates(s, tip, canonical, changes)
	if err := p.repo.commit(updates); err != nil {
		return err
	}
	p.made = step{tip, s.signed, next}
	p.disk.Go(func() error { return p.repo.disk.Sync(p.began, names(updates)...) })
	p.repo.advance(tip, next, canonical)
	return nil
}

func names(updates []update) (refs []string) {
	for _, u := range updates {
		refs = append(refs, u.ref)
	}
	return refs
}

// updates lists the refs of a transaction. The signed refs come first: git writes refs in this order, so whatever a crash
// of the machine leaves undone can be done later without the key (mend).
func (p *session) updates(s *state, tip, canonical project.OID, changes []*command) []update {
	list := []update{{project.SignedRefsRef(p.repo.peer), s.tip, tip}}
	for _, c := range changes {
		list = append(list, update{project.Namespace(p.repo.peer) + c.ref, c.old, c.new})
	}
	if canonical != s.canonical {
		list = append(list, update{s.branch(), s.canonical, canonical})
	}
	// Other peers' daemons change the identity, too: a push by the rules of an old one is to look again.
	return append(list, update{project.IdentityRef, s.identified, s.identified})
}

// messages is the hook's standard error, which git shows its user line by line after "remote: ".
type messages struct{ w io.Writer }

func (m messages) say(format string, args ...any) {
	_, _ = fmt.Fprintf(m.w, "lnk: "+format+"\n", args...) // nobody listens any more: the push goes on
}

// problem says what went wrong and what helps against it.
func (m messages) problem(err error) {
	m.say("%v", err)
	if hint := ipc.HintOf(err); hint != "" {
		m.say("hint: %s", hint)
	}
}
