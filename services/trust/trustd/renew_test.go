package trustd

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust"
)

// slowRing is an agent whose owner takes their time.
type slowRing struct {
	agent.ExtendedAgent
	asked chan struct{} // one for each signature
	goOn  chan struct{} // closed when the owner agrees
}

func (s slowRing) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	s.asked <- struct{}{}
	<-s.goOn
	return s.ExtendedAgent.SignWithFlags(key, data, flags)
}

// TestRenewalOutlastsItsCaller: a timer that gives up does not end what it began, which might take longer every time.
func TestRenewalOutlastsItsCaller(t *testing.T) {
	r, _ := begun(t, 2)
	path := r.agent + "-slow"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	slow := slowRing{r.ring.(agent.ExtendedAgent), make(chan struct{}, 100), make(chan struct{})}
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() { _ = agent.ServeAgent(slow, c) }()
		}
	}()
	r.clock.pass(24*time.Hour - renewBefore/2)
	client := ipc.NewClient(r.listen(), "test")
	defer client.Close()
	ctx, giveUp := context.WithCancel(t.Context())
	renewed := make(chan error, 1)
	go func() {
		_, err := trust.Renew.Call(ctx, client, trust.RenewArgs{Agent: path})
		renewed <- err
	}()
	<-slow.asked
	giveUp()
	if err := <-renewed; !errors.Is(err, context.Canceled) && !errors.Is(err, ipc.Cancelled) {
		t.Error(err)
	}
	close(slow.goOn)
	r.look(func(repo *repository) { // when it is done
		if got := repo.edition.timestamp.Version; got != 2 {
			t.Errorf("timestamp has version %d", got)
		}
	})
}
