package gitd_test

import (
	"slices"
	"testing"
)

func TestPushBecomesSignedRefsAndEvents(t *testing.T) {
	r := newRig(t)
	urn := r.newProject()
	dir := r.newCopy(urn)
	first := r.mustGit(dir, "rev-parse", "HEAD")
	r.mustGit(dir, "push", "lnk", "main")
	second := r.commit(dir)
	r.mustGit(dir, "push", "lnk", "main")
	if refs := r.verified(urn); len(refs) != 1 || refs["refs/heads/main"] != second {
		t.Errorf("signed refs: %v", refs)
	}
	want := []event{{"refs/heads/main", none, first}, {"refs/heads/main", first, second}}
	if got := r.events(); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
	copied := t.TempDir()
	r.mustGit(copied, "clone", "-q", "lnk://"+string(urn), ".")
	if got := r.mustGit(copied, "rev-parse", "HEAD"); got != second {
		t.Errorf("clone is at %s, want %s", got, second)
	}
}
