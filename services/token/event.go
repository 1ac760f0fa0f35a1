package token

import (
	"fmt"
	"iter"
	"time"
)

// Event is a line of the log: something that happened to a token, or for want of one.
type Event struct {
	// Time is when, in UTC.
	Time time.Time `json:"time"`
	// Event is issued, used, refused or revoked.
	Event string `json:"event"`
	// Token is which; empty where none was shown.
	Token ID `json:"token,omitempty"`
	// Method is the method that was called, or what a new token permits.
	Method string `json:"method,omitempty"`
	// Caller is who asked: a process, or where a connection comes from.
	Caller string `json:"caller,omitempty"`
	// Detail says until when and how often, how many uses are left, or why it was refused.
	Detail string `json:"detail,omitempty"`
}

const (
	issued  = "issued"
	used    = "used"
	refused = "refused"
	revoked = "revoked"
)

// record stores a line for good.
func (s *Store) record(e Event) error {
	e.Time = s.now().wall
	if err := s.log.Append(e); err != nil {
		return fmt.Errorf("cannot record that a token was %s: %w", e.Event, err)
	}
	return nil
}

// Events yields what the log still has, oldest first.
func (s *Store) Events() iter.Seq2[Event, error] { return s.log.Records() }
