package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
)

// newLogger writes lines of text. The journal has its own time and program name for each line, so they are left out there.
func newLogger(stderr io.Writer, program, journalStream string) *slog.Logger {
	if !isJournal(stderr, journalStream) {
		return slog.New(slog.NewTextHandler(stderr, nil)).With("program", program)
	}
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// isJournal reports whether w is the stream that systemd named. A child of a service whose output goes elsewhere
// inherits the variable all the same (systemd.exec(5), JOURNAL_STREAM).
func isJournal(w io.Writer, stream string) bool {
	f, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
