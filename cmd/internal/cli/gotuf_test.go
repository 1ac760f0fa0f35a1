package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// gotuf URL FOLDER TARGET has an unmodified go-tuf, which trusts FOLDER/root.json at first, refresh and download TARGET into
// FOLDER. "! gotuf" expects it to refuse.
func scriptGoTUF(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: gotuf URL FOLDER TARGET")
	}
	err := goTUF(args[0], ts.MkAbs(args[1]), args[2])
	ts.Logf("go-tuf: %v", err)
	if (err != nil) != neg {
		ts.Fatalf("go-tuf: %v", err)
	}
}

func goTUF(url, dir, target string) error {
	root, err := os.ReadFile(filepath.Join(dir, "root.json"))
	if err != nil {
		return err
	}
	cfg, err := config.New(url+"/metadata", root)
	if err != nil {
		return err
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir, cfg.RemoteTargetsURL = dir, dir, url+"/targets"
	client, err := updater.New(cfg)
	if err != nil {
		return err
	}
	if err := client.Refresh(); err != nil {
		return err
	}
	info, err := client.GetTargetInfo(target)
	if err != nil {
		return err
	}
	_, data, err := client.DownloadTarget(info, "", "")
	if err == nil && int64(len(data)) != info.Length {
		err = fmt.Errorf("%d bytes, want %d", len(data), info.Length)
	}
	return err
}
