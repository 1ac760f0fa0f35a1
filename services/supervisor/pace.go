package supervisor

import "time"

// pace keeps a daemon that fails from being started all the time. The first restart is at once. While runs stay short, the
// next starts are min apart, then twice that, up to max; a run that lasted as long as that distance, or ended well, ends the
// series.
type pace struct {
	min, max time.Duration
	started  time.Time
	failures int // of this series
}

// begin notes a start.
func (p *pace) begin(now time.Time) { p.started = now }

// failed notes the end of a run, or an attempt that could not even start one.
func (p *pace) failed(now time.Time) {
	if now.Sub(p.started) >= max(p.distance(), p.min) {
		p.failures = 0
	}
	p.failures++
}

// succeeded notes a run that ended well.
func (p *pace) succeeded() { p.failures = 0 }

// next returns when the next start may be.
func (p *pace) next() time.Time { return p.started.Add(p.distance()) }

// distance between the last start and the next.
func (p *pace) distance() time.Duration {
	if p.failures < 2 {
		return 0
	}
	d := p.min
	for i := 2; i < p.failures && d < p.max; i++ {
		d *= 2
	}
	return min(d, p.max)
}
