package gitd_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/git"
	"github.com/lnk-suite/lnk/services/project"
)

const (
	identityKills = 100
	// identityWindow is a little longer than a step takes with the publishing of its event.
	identityWindow = 120 * time.Millisecond
)

// TestIdentityKill kills gitd with SIGKILL at random moments of the steps of signing an identity. What a step was about to
// change is as before or as after, all of it; a step that was answered has happened; and in the end the events on the bus
// are the record, step by step. LNK_TEST_SEED repeats a run.
func TestIdentityKill(t *testing.T) {
	random := seeded(t)
	r := newRig(t)
	me, ben := r.delegate(), r.stranger(2)
	urn := r.newProject()
	me.mustGit(r.newCopy(urn), "push", "lnk", "main")
	must(me.propose(urn, func(s *project.Spec) { s.Delegates, s.Threshold = idsOf(me, ben), 2 }))(t)
	ben.signs(urn)
	answered, cut := 0, 0
	for round := range identityKills {
		before, pending, shown := me.shown(urn)
		step := me.nextStep(urn, ben, round, random.IntN(4), shown)
		done := make(chan error, 1)
		go func() { done <- step() }()
		time.Sleep(time.Duration(random.Int64N(int64(identityWindow)))) // the moment is the test
		r.gitd.kill()
		err := <-done
		r.gitd.start()
		after, left, _ := me.shown(urn)
		moved := after.Version != before.Version || (left == nil) != (pending == nil) || left != nil && string(left.Bytes()) != string(pending.Bytes())
		if err == nil {
			answered++
		} else {
			cut++
		}
		if err == nil && !moved {
			t.Errorf("round %d: a step that was answered has not happened", round)
		}
		if after.Version != before.Version && (after.Version != before.Version+1 || left != nil) {
			t.Errorf("round %d: version %d, then version %d with something that waits: %v", round, before.Version, after.Version, left != nil)
		}
	}
	t.Logf("%d steps were answered, %d cut off", answered, cut)
	r.soundStorage(urn)
	disk := project.Repository{URN: urn, Dir: r.storage(urn)}
	tip := must(disk.Ref(t.Context(), project.SigningRef))(t)
	var want []string
	for _, s := range must(disk.Steps(t.Context(), project.OID{}, tip))(t) {
		want = append(want, fmt.Sprintf("%s %d %d/%d", s.Kind, s.Version, s.Signed, s.Threshold))
	}
	r.wantSteps(want...) // as the record has them
}

// nextStep prepares a step that is possible now. Its client gives up soon: a step that was cut off is not tried again.
func (d delegate) nextStep(urn project.URN, ben delegate, round, choice int, shown git.Identity) func() error {
	client := ipc.NewClient(d.gitd.socket, "gitd test")
	name := string(urn)
	within := func(call func(context.Context) error) func() error {
		return func() error {
			defer client.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return call(ctx)
		}
	}
	change := func(s *project.Spec) { s.Description = fmt.Sprint("round ", round) }
	switch {
	case shown.Next == nil:
		document := d.draft(urn, change)
		return within(func(ctx context.Context) error {
			_, err := git.ProposeIdentity.Call(ctx, client, git.ProposeArgs{Project: name, Document: document})
			return err
		})
	case choice == 0:
		return within(func(ctx context.Context) error {
			_, err := git.CancelIdentity.Call(ctx, client, git.CancelArgs{Project: name, Match: shown.Pending.Digest})
			return err
		})
	case choice == 1:
		document := d.draft(urn, change)
		return within(func(ctx context.Context) error {
			_, err := git.OverrideIdentity.Call(ctx, client, git.OverrideArgs{Project: name, Document: document, Match: shown.Pending.Digest})
			return err
		})
	}
	signature := ben.signature(urn)
	return within(func(ctx context.Context) error {
		_, err := git.SignIdentity.Call(ctx, client, signature)
		return err
	})
}
