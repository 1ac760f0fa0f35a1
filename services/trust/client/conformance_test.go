package client

import "testing"

// conformance is one case of the public TUF conformance suite, under its name there: what the repository does, and what a client
// must make of it. The cases are told in our own words; the judge shows that they are the suite's.
type conformance struct {
	name string
	run  func(w *world)
}

// TestConformance runs every case of the suite with this client, and with an unmodified go-tuf beside it.
func TestConformance(t *testing.T) {
	for _, c := range conformanceCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newWorld(t, ours{}))
		})
		t.Run("judge/"+c.name, func(t *testing.T) {
			t.Parallel()
			c.run(newWorld(t, judge{}))
		})
	}
}

func conformanceCases() (all []conformance) {
	for _, part := range [][]conformance{
		basicCases(), expirationCases(), downloadCases(), keyCases(), quotingCases(), rollbackCases(), graphCases(), searchCases(),
		rootRotationCases(), roleRotationCases(), staticCases(),
	} {
		all = append(all, part...)
	}
	return all
}
