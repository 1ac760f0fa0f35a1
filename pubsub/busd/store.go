package busd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reserve is the room on disk, in bytes, below which the bus stores nothing more: an event needs a block, its index,
// and room to write both.
const reserve = 8 << 20

// errFull says that there is no room to store events.
var errFull = errors.New("no space left for events")

// freeSpace returns how many bytes we may still write in dir.
func freeSpace(dir string) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil
}

func hasRoom(dir string) bool {
	free, err := freeSpace(dir)
	return err == nil && free >= reserve
}

// isNoRoom tells whether err is the embedded server's way of saying that the disk or its own limit is full.
func isNoRoom(err error) bool {
	const memoryExceeded, insufficient, storageExceeded = 10028, 10023, 10047
	var api *apiError
	if errors.As(err, &api) && slices.Contains([]uint16{memoryExceeded, insufficient, storageExceeded}, api.ErrCode) {
		return true
	}
	return errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), syscall.ENOSPC.Error())
}

const (
	storeFolder = "jetstream" // chosen by nats-server
	asidePrefix = "unreadable-"
	keepAside   = 2 // how many unreadable stores stay for inspection
)

// holdsEvents tells whether there is anything in the store. A crash while it is set up leaves one without.
func holdsEvents(dir string) bool {
	blocks, err := filepath.Glob(filepath.Join(dir, storeFolder, "*", "streams", "*", "msgs", "*.blk"))
	return err != nil || slices.ContainsFunc(blocks, func(block string) bool {
		info, err := os.Stat(block)
		return err != nil || info.Size() > 0
	})
}

// setAside renames the store in dir so that the next start is from nothing, and returns its new path. Older ones go.
func setAside(dir string, now time.Time) (string, error) {
	old := filepath.Join(dir, storeFolder)
	aside := filepath.Join(dir, asidePrefix+now.UTC().Format("20060102T150405.000000000Z"))
	if err := os.Rename(old, aside); err != nil {
		return "", fmt.Errorf("cannot set the unreadable store aside: %w", err)
	}
	stores, err := filepath.Glob(filepath.Join(dir, asidePrefix+"*"))
	if err != nil {
		return "", err
	}
	slices.Sort(stores)
	for len(stores) > keepAside {
		if err := os.RemoveAll(stores[0]); err != nil {
			return "", fmt.Errorf("cannot remove an old unreadable store: %w", err)
		}
		stores = stores[1:]
	}
	return aside, nil
}
