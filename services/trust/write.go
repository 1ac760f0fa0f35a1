package trust

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// withSignature returns the file data with one signature more, or another one by the same key. Every other member,
// and every other signature, keeps its bytes.
func withSignature(data []byte, sig Signature) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(members["signatures"], &list); err != nil {
		return nil, err
	}
	entry := writeSignatures([]Signature{sig})[0]
	for i, old := range list {
		var head struct {
			KeyID string `json:"keyid"`
		}
		if err := json.Unmarshal(old, &head); err != nil {
			return nil, err
		}
		if head.KeyID == sig.KeyID {
			list[i] = entry
			return writeDocument(members, list)
		}
	}
	return writeDocument(members, append(list, entry))
}

func writeSignatures(list []Signature) []json.RawMessage {
	entries := make([]json.RawMessage, len(list))
	for i, s := range list {
		entries[i] = fmt.Appendf(nil, `{"keyid": %q, "sig": %q}`, s.KeyID, hex.EncodeToString(s.Sig))
	}
	return entries
}

// writeDocument writes a metadata file for people to read: one signature per line, then the other members as they are.
func writeDocument(members map[string]json.RawMessage, signatures []json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\n\t\"signatures\": [")
	for i, s := range signatures {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n\t\t")
		b.Write(s)
	}
	if len(signatures) > 0 {
		b.WriteString("\n\t")
	}
	b.WriteByte(']')
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name == "signatures" {
			continue
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		b.Write(slices.Concat([]byte(",\n\t"), quoted, []byte(": "), members[name]))
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}
