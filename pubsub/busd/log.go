package busd

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// natsLog hands the embedded server's messages to slog. What NATS calls a notice is of no interest in a desktop's
// journal, so it becomes a debug line.
type natsLog struct {
	log     *slog.Logger
	trouble func() // called after every error: something may be wrong with the store

	mu    sync.Mutex
	fatal string // the first fatal message: NATS reports a failed start only this way
}

func (l *natsLog) line(format string, v []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, v...))
}

// Noticef, Warnf and the rest implement the logger interface of nats-server.
func (l *natsLog) Noticef(format string, v ...any) { l.log.Debug("nats: " + l.line(format, v)) }

// Warnf implements server.Logger.
func (l *natsLog) Warnf(format string, v ...any) { l.log.Warn("nats: " + l.line(format, v)) }

// Errorf implements server.Logger.
func (l *natsLog) Errorf(format string, v ...any) {
	l.log.Error("nats: " + l.line(format, v))
	l.trouble()
}

// Fatalf implements server.Logger; unlike NATS's own logger it does not end the process.
func (l *natsLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == "" {
		l.fatal = l.line(format, v)
	}
}

// Debugf implements server.Logger; the server is not told to trace or debug, so it stays silent.
func (l *natsLog) Debugf(string, ...any) {}

// Tracef implements server.Logger.
func (l *natsLog) Tracef(string, ...any) {}

func (l *natsLog) fatalMessage() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
