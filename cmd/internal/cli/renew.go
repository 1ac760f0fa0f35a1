package cli

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/profile"
	"github.com/lnk-suite/lnk/services/trust"
)

// renewEvery is well below the hour before expiry at which trustd makes new versions.
const renewEvery = 30 * time.Minute

// renewTrust does below lnk up what lnk-trustd-renew.timer does below systemd, until ctx ends: it wakes trustd now and then,
// if there is any repository, to re-sign what is about to expire.
func (a *app) renewTrust(ctx context.Context, dirs profile.Dirs, log *slog.Logger) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if repositories, err := os.ReadDir(filepath.Join(dirs.State, "trust")); err != nil || len(repositories) == 0 {
			continue
		}
		client := ipc.NewClient(dirs.Socket("trust", ""), userAgent)
		call, cancel := context.WithTimeout(ctx, longLimit)
		if _, err := trust.Renew.Call(call, client, trust.RenewArgs{Agent: a.agentPath()}); err != nil && ctx.Err() == nil {
			log.Warn("cannot renew trusted metadata", "err", err)
		}
		cancel()
		_ = client.Close()
	}
}
