package keys

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
)

// maxAuditLine bounds a line in bytes when reading; the longest we write is far shorter.
const maxAuditLine = 64 << 10

// Records yields everything that the log still has, oldest first. Lines that a crash left unfinished are passed over.
func (l *AuditLog) Records() iter.Seq2[AuditRecord, error] {
	return func(yield func(AuditRecord, error) bool) {
		for n := keptAuditLogs; n >= 0; n-- {
			more, err := readAudit(l.name(n), yield)
			if err != nil {
				yield(AuditRecord{}, fmt.Errorf("cannot read audit log: %w", err))
			}
			if err != nil || !more {
				return
			}
		}
	}
}

func readAudit(path string, yield func(AuditRecord, error) bool) (more bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxAuditLine)
	for lines.Scan() {
		var r AuditRecord
		if json.Unmarshal(lines.Bytes(), &r) == nil && !yield(r, nil) {
			return false, nil
		}
	}
	return true, lines.Err()
}
