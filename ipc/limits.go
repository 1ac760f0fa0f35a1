package ipc

import "time"

// Limits bound what one connection can make a server hold. The zero value of each field means its default.
type Limits struct {
	MaxFrame    int           // bytes; a larger frame is skipped and answered with TooLarge; 4 MiB
	MaxSkip     int           // bytes; a still larger frame ends the connection; 64 MiB
	MaxInFlight int           // requests without final answer; further ones get ResourceExhausted; 1,024
	MaxHeld     int           // bytes of the requests in flight; further ones get ResourceExhausted; 64 MiB
	Stall       time.Duration // a peer that reads nothing for so long while there is something to read is cut off; 30 s
}

// The defaults of Limits. Clients keep to them too.
const (
	defaultMaxFrame    = 4 << 20
	defaultMaxSkip     = 64 << 20
	defaultMaxInFlight = 1024
	defaultMaxHeld     = 64 << 20
	defaultStall       = 30 * time.Second
)

func (l Limits) withDefaults() Limits {
	return Limits{
		MaxFrame:    orDefault(l.MaxFrame, defaultMaxFrame),
		MaxSkip:     orDefault(l.MaxSkip, defaultMaxSkip),
		MaxInFlight: orDefault(l.MaxInFlight, defaultMaxInFlight),
		MaxHeld:     orDefault(l.MaxHeld, defaultMaxHeld),
		Stall:       orDefault(l.Stall, defaultStall),
	}
}

func orDefault[N int | time.Duration](n, fallback N) N {
	if n == 0 {
		return fallback
	}
	return n
}

func (l Limits) description() LimitsDescription {
	return LimitsDescription{MaxFrame: uint64(l.MaxFrame), MaxSkip: uint64(l.MaxSkip), MaxInFlight: uint64(l.MaxInFlight)}
}

// envelopeRoom is more than an envelope adds to its payload, in bytes.
const envelopeRoom = 256
