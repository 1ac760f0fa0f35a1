package keys_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lnk-suite/lnk/services/keys"
	"github.com/lnk-suite/lnk/services/keys/keystest"
	"github.com/lnk-suite/lnk/services/keys/peer"
)

// TestLoads: what is remembered holds for one agent, not for the next one at the same path, nor after the key's time.
func TestLoads(t *testing.T) {
	loads := keys.Loads{Dir: filepath.Join(t.TempDir(), "state", "loaded")}
	path := filepath.Join(keystest.ShortDir(t), "agent")
	held, stop := keystest.StartAgent(t, path)
	id, err := peer.FromPublicKey(keystest.Signer(1).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, known := loads.Recall(held, id); known {
		t.Error("something is remembered")
	}
	for _, o := range []keys.AddOptions{{}, {Lifetime: time.Hour, Confirm: true}, {Forever: true}} {
		if err := loads.Remember(held, id, o); err != nil {
			t.Fatal(err)
		}
		got, known := loads.Recall(held, id)
		want := o.Lifetime
		if want == 0 && !o.Forever {
			want = keys.DefaultLifetime
		}
		if !known || got.Confirm != o.Confirm || got.Until.IsZero() != o.Forever || !o.Forever && got.Until.Sub(got.At) != want {
			t.Errorf("%+v: %+v, %v", o, got, known)
		}
	}
	if _, known := loads.Recall(keys.Agent{Path: path + "2"}, id); known {
		t.Error("another agent is taken for the one")
	}
	stop()
	os.Remove(path)
	again, _ := keystest.StartAgent(t, path)
	if _, known := loads.Recall(again, id); known {
		t.Error("an agent that was started anew is taken for the one before")
	}
	if err := loads.Remember(again, id, keys.AddOptions{Lifetime: time.Second}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { _, known := loads.Recall(again, id); return !known })
	for range 2 {
		if err := loads.Forget(id); err != nil {
			t.Error(err)
		}
	}
}
