package supervisor

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const s = time.Second
	type run struct {
		lived time.Duration
		ok    bool
		wait  time.Duration // from the end of the run to the next start
	}
	tests := map[string][]run{
		"crash loop":                 {{0, false, 0}, {0, false, s}, {0, false, 2 * s}, {0, false, 4 * s}, {0, false, 8 * s}, {0, false, 10 * s}, {0, false, 10 * s}},
		"now and then":               {{s, false, 0}, {s, false, 0}, {5 * s, false, 0}},
		"short runs":                 {{s / 2, false, 0}, {s / 2, false, s / 2}, {s / 2, false, 3 * s / 2}},
		"a long run ends a series":   {{0, false, 0}, {0, false, s}, {3 * s, false, 0}, {0, false, s}},
		"success ends a series":      {{0, false, 0}, {0, false, s}, {0, true, 0}, {0, false, 0}},
		"success is never waited on": {{0, true, 0}, {0, true, 0}, {0, true, 0}},
	}
	for name, runs := range tests {
		t.Run(name, func(t *testing.T) {
			p := pace{min: s, max: 10 * s}
			now := time.Now()
			for i, r := range runs {
				p.begin(now)
				now = now.Add(r.lived)
				if r.ok {
					p.succeeded()
				} else {
					p.failed(now)
				}
				wait := max(0, p.next().Sub(now))
				if wait != r.wait {
					t.Fatalf("run %d: wait %v, want %v", i, wait, r.wait)
				}
				now = now.Add(wait)
			}
		})
	}
}

func TestPaceDoesNotOverflow(t *testing.T) {
	p := pace{min: time.Second, max: 10 * time.Second, failures: 1000}
	if d := p.distance(); d != 10*time.Second {
		t.Errorf("distance %v", d)
	}
}
