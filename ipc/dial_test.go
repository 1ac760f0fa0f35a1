package ipc

import (
	"context"
	"testing"
	"time"
)

// An overdue context has a deadline that has passed, and does not say so yet: its timer got no turn.
type overdue struct{ context.Context }

// Deadline implements context.Context.
func (overdue) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

func TestDialTooLate(t *testing.T) {
	conn, err := Dial(overdue{t.Context()}, serve(t, &Server{Mux: testMux()}))
	if err == nil {
		conn.Close()
	}
	if CodeOf(err) != DeadlineExceeded {
		t.Errorf("code %v, %v", CodeOf(err), err)
	}
}
