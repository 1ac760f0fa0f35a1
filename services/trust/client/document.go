package client

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/lnk-suite/lnk/services/trust"
)

// maxEntries bounds the signatures of a document and the keys of a role, each: they take time.
const maxEntries = 1024

// document is what signed metadata of every role has in common.
type document struct {
	data       []byte // the file, as it came
	payload    []byte // what the signatures cover
	version    int64
	expires    time.Time
	signatures []trust.Signature
	signed     object
}

// specVersions are the versions of the specification that this client follows.
var specVersions = regexp.MustCompile(`^1\.[0-9]+(\.[0-9]+)?$`)

// parse reads a document of the given _type. It verifies no signature.
func parse(data []byte, kind string) (*document, error) {
	var file object
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	d := &document{data: data}
	if err := file.read("signed", &d.signed); err != nil {
		return nil, err
	}
	var err error
	if d.payload, err = trust.Canonical(file["signed"]); err != nil {
		return nil, err
	}
	if d.signatures, err = readSignatures(file); err != nil {
		return nil, err
	}
	return d, d.readHead(kind)
}

func (d *document) readHead(kind string) error {
	var found, spec string
	if err := errors.Join(d.signed.read("_type", &found), d.signed.read("spec_version", &spec),
		d.signed.read("version", &d.version), d.signed.read("expires", &d.expires)); err != nil {
		return err
	}
	switch {
	case found != kind:
		return fmt.Errorf("it is of type %.40q, not %s", found, kind)
	case !specVersions.MatchString(spec):
		return fmt.Errorf("version %.20q of the TUF specification is not supported", spec)
	case d.version < 1:
		return fmt.Errorf("version %d", d.version)
	}
	return nil
}

// readSignatures reads the list of signatures. What is no hexadecimal is an invalid signature like others; two by one key id
// are a mistake (specification, section 4.2.1).
func readSignatures(file object) ([]trust.Signature, error) {
	var list []object
	if err := file.read("signatures", &list); err != nil {
		return nil, err
	}
	if len(list) > maxEntries {
		return nil, fmt.Errorf("%d signatures, the limit is %d", len(list), maxEntries)
	}
	seen := make(map[string]bool, len(list))
	out := make([]trust.Signature, 0, len(list))
	for _, entry := range list {
		var id, text string
		if err := errors.Join(entry.read("keyid", &id), entry.read("sig", &text)); err != nil {
			return nil, err
		}
		if seen[id] {
			return nil, fmt.Errorf("key %.64q has two signatures", id)
		}
		seen[id] = true
		sig, err := hex.DecodeString(text)
		if err != nil {
			sig = nil
		}
		out = append(out, trust.Signature{KeyID: id, Sig: sig})
	}
	return out, nil
}

// names returns the names that the document gives to keys, by key id.
func (d *document) names() map[string]string {
	var names map[string]string
	_, _ = d.signed.readOptional(trust.NamesMember, &names) // of another form: no names
	return names
}

// fresh reports whether the document has not expired.
func (d *document) fresh(now time.Time) error {
	if !now.Before(d.expires) {
		return fmt.Errorf("version %d expired on %s", d.version, d.expires.UTC().Format(time.RFC3339))
	}
	return nil
}
