package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
)

// maxLine is what a line, with its end, may take at most, in bytes.
const maxLine = 64 << 10

// Records yields everything that the log still has, oldest first. Lines that a crash left unfinished are passed over.
func (l *Log[R]) Records() iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var none R
		for n := keptLogs; n >= 0; n-- {
			more, err := read(l.name(n), yield)
			if err != nil {
				yield(none, fmt.Errorf("cannot read audit log: %w", err))
			}
			if err != nil || !more {
				return
			}
		}
	}
}

func read[R any](path string, yield func(R, error) bool) (more bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var r R
		if json.Unmarshal(lines.Bytes(), &r) == nil && !yield(r, nil) {
			return false, nil
		}
	}
	return true, lines.Err()
}
