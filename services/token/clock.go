package token

import "time"

// moment is a point in time by two clocks. The clock on the wall survives a restart of the machine, and anybody may set
// it; the time since the machine started counts on while it sleeps and cannot be set.
type moment struct {
	wall time.Time
	boot string        // which start of the machine; empty where that is not known
	up   time.Duration // since then
}

func now() moment {
	boot, up := sinceBoot()
	return moment{time.Now().UTC().Round(0), boot, up}
}

// lifetime is when a token was issued and when it ends.
type lifetime struct {
	Issued  time.Time     `json:"issued"`
	Expires time.Time     `json:"expires"`
	Boot    string        `json:"boot,omitempty"`
	Up      time.Duration `json:"up,omitempty"` // when it ends, as time since that boot
}

func (m moment) lifetime(ttl time.Duration) lifetime {
	l := lifetime{Issued: m.wall, Expires: m.wall.Add(ttl), Boot: m.boot}
	if m.boot != "" {
		l.Up = m.up + ttl
	}
	return l
}

// ended reports whether the token's time is up by either clock: what sets one of them back revives nothing. After a
// restart only that on the wall is left, and one that stands before the token was issued has been set back.
func (l lifetime) ended(m moment) bool {
	if !m.wall.Before(l.Expires) {
		return true
	}
	if l.Boot == "" || l.Boot != m.boot {
		return m.wall.Before(l.Issued)
	}
	return m.up >= l.Up
}
