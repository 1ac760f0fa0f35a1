package ipc

import "iter"

// flights is the table of a connection's calls without final answer, by id. The low bits of an id are its place: ids are
// given out in a row, so the next place is nearly always free, and there is nothing to hash.
type flights struct {
	places []flight // a power of two of them, at least half of them free
	n      int      // how many are taken
	last   uint32   // id
}

// A flight is a call without final answer. Nobody waits for it any more if call is nil.
type flight struct {
	id     uint32 // zero, which is reserved, for a free place
	stream bool
	call   *pendingCall
}

// add gives p an id and enters it.
func (f *flights) add(p *pendingCall) {
	if 2*f.n >= len(f.places) {
		f.grow()
	}
	for f.last++; f.last == 0 || f.place(f.last).id != 0; f.last++ {
	}
	p.id = f.last
	*f.place(p.id) = flight{p.id, p.stream != nil, p}
	f.n++
}

// grow doubles the table. Ids that had a place each still have.
func (f *flights) grow() {
	old := f.places
	f.places = make([]flight, max(8, 2*len(old)))
	for _, x := range old {
		if x.id != 0 {
			*f.place(x.id) = x
		}
	}
}

func (f *flights) place(id uint32) *flight { return &f.places[id&uint32(len(f.places)-1)] }

// find returns the flight with the given id, nil if there is none.
func (f *flights) find(id uint32) *flight {
	if f.n == 0 || id == 0 || f.place(id).id != id {
		return nil
	}
	return f.place(id)
}

// waiting reports whether p's caller still waits.
func (f *flights) waiting(p *pendingCall) bool {
	x := f.find(p.id)
	return x != nil && x.call == p
}

func (f *flights) remove(id uint32) {
	*f.place(id) = flight{}
	f.n--
}

// all yields every flight. The loop may change or remove it.
func (f *flights) all() iter.Seq[*flight] {
	return func(yield func(*flight) bool) {
		for i := range f.places {
			if x := &f.places[i]; x.id != 0 && !yield(x) {
				return
			}
		}
	}
}
