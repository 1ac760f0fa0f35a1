package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/trust/client"
)

// clientArgs are what the public TUF conformance suite gives a client, before or after the verb.
type clientArgs struct {
	MetadataDir   string `json:"metadata_dir" help:"keep the trusted metadata in <FOLDER>"`
	MetadataURL   string `json:"metadata_url" help:"fetch metadata from below <URL>"`
	TargetName    string `json:"target_name" help:"download the target <PATH>"`
	TargetBaseURL string `json:"target_base_url" help:"fetch targets from below <URL>"`
	TargetDir     string `json:"target_dir" help:"put targets into <FOLDER>"`
}

func trustClient(a *app) *cobra.Command {
	args := new(clientArgs)
	c := noun("client", "follow anybody's repository of trusted metadata",
		`Client finds the current metadata of a repository of The Update Framework, from a first root document that you trust, and
downloads targets that the metadata vouches for. It takes its arguments as the TUF conformance suite gives them, and the time of
day from the program date. Whatever fails, it ends with status 1, and trusts what it trusted before.`,
		clientInit(a, args), clientRefresh(a, args), clientDownload(a, args))
	c.Example = `  lnk trust client --metadata-dir M init 1.root.json
  lnk trust client --metadata-dir M --metadata-url http://127.0.0.1:8080/metadata refresh
  lnk trust client --metadata-dir M --metadata-url http://127.0.0.1:8080/metadata \
    --target-name docs/hello.txt --target-base-url http://127.0.0.1:8080/targets --target-dir T download`
	bind(c.PersistentFlags(), args)
	return c
}

type clientRootArgs struct {
	Root string `arg:"ROOT"`
}

func clientInit(a *app, flags *clientArgs) *cobra.Command {
	return action[clientRootArgs]{
		name: "init", short: "trust a first root document",
		long: `Init makes ROOT the root document that everything in --metadata-dir hangs on. It must be signed as it says itself. Nothing is
fetched. A folder that has begun with another is left as it is.`,
		cannot: "trust the root document",
		run: func(ctx context.Context, args clientRootArgs) error {
			data, err := os.ReadFile(args.Root)
			if err != nil {
				return failed(err)
			}
			return failed(withFolder(ctx, flags, func(store client.Store) error { return client.Init(store, data) }))
		},
	}.command(a)
}

func clientRefresh(a *app, flags *clientArgs) *cobra.Command {
	return action[ipc.Empty]{
		name: "refresh", short: "bring the trusted metadata up to date",
		long: `Refresh fetches what is new of root, timestamp, snapshot and targets, and keeps what may be trusted in --metadata-dir, each in a
file that is named after its role.`,
		cannot: "refresh the metadata",
		run: func(ctx context.Context, _ ipc.Empty) error {
			return failed(withClient(ctx, flags, func(*client.Client) error { return nil }))
		},
	}.command(a)
}

func clientDownload(a *app, flags *clientArgs) *cobra.Command {
	return action[ipc.Empty]{
		name: "download", short: "download a target",
		long: `Download refreshes the metadata, finds the target --target-name, and puts it into --target-dir: in a file with its name, the slashes
escaped. The file appears verified or not at all; one that is there already and right is not fetched again.`,
		cannot: "download the target",
		run: func(ctx context.Context, _ ipc.Empty) error {
			if flags.TargetName == "" || flags.TargetDir == "" {
				return flagMissing("--target-name and --target-dir")
			}
			if sameFolder(flags.TargetDir, flags.MetadataDir) {
				return &usageError{"a target could take the place of metadata: --target-dir must be another folder than --metadata-dir", "lnk help trust client"}
			}
			from, err := client.NewWeb(flags.TargetBaseURL)
			if err != nil {
				return err
			}
			defer from.Close()
			return failed(withClient(ctx, flags, func(c *client.Client) error {
				target, err := c.Find(ctx, flags.TargetName)
				if err != nil {
					return err
				}
				_, err = c.Download(ctx, from, flags.TargetName, target, flags.TargetDir)
				return err
			}))
		},
	}.command(a)
}

func sameFolder(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// failed makes every error end lnk with status 1, as the conformance suite expects of a client.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return ipc.Errorf(ipc.Corrupt, "%w", err)
}

func flagMissing(name string) error {
	return &usageError{name + " must be given", "lnk help trust client"}
}

func withFolder(ctx context.Context, flags *clientArgs, f func(client.Store) error) error {
	if flags.MetadataDir == "" {
		return flagMissing("--metadata-dir")
	}
	folder, err := client.OpenFolder(ctx, flags.MetadataDir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return f(folder)
}

// withClient runs f with a client that has just refreshed.
func withClient(ctx context.Context, flags *clientArgs, f func(*client.Client) error) error {
	from, err := client.NewWeb(flags.MetadataURL)
	if err != nil {
		return err
	}
	defer from.Close()
	return withFolder(ctx, flags, func(store client.Store) error {
		now, err := dateNow(ctx)
		if err != nil {
			return err
		}
		c, err := client.New(store, from, now)
		if err != nil {
			return err
		}
		if err := c.Refresh(ctx); err != nil {
			return err
		}
		return f(c)
	})
}

// dateNow asks the program date for the time: faketime can change that, but not what a program without the C library sees.
func dateNow(ctx context.Context) (time.Time, error) {
	out, err := exec.CommandContext(ctx, "date", "+%s").Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot run date: %w", err)
	}
	seconds, err := strconv.ParseInt(string(bytes.TrimSpace(out)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot understand what date says: %w", err)
	}
	return time.Unix(seconds, 0), nil
}
