package ipc

import (
	"testing"

	"pgregory.net/rapid"
)

// TestFlights compares the table with a map while calls come and go, around the largest id too.
func TestFlights(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := flights{last: rapid.SampledFrom([]uint32{0, 1<<32 - 20}).Draw(t, "last")}
		want := map[uint32]*pendingCall{}
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			ids := []uint32{}
			for x := range f.all() {
				ids = append(ids, x.id)
			}
			if len(ids) > 0 && rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
				id := rapid.SampledFrom(ids).Draw(t, "id")
				f.remove(id)
				delete(want, id)
				if f.find(id) != nil {
					t.Fatalf("%d is there after its removal", id)
				}
			} else {
				p := &pendingCall{}
				f.add(p)
				if want[p.id] != nil || p.id == 0 {
					t.Fatalf("id %d was given out twice or is reserved", p.id)
				}
				want[p.id] = p
			}
			if f.n != len(want) {
				t.Fatalf("%d calls, want %d", f.n, len(want))
			}
			for id, p := range want {
				if x := f.find(id); x == nil || x.call != p || !f.waiting(p) {
					t.Fatalf("call %d is lost", id)
				}
			}
		}
	})
}
