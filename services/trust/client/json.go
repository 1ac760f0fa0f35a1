package client

import (
	"encoding/json"
	"fmt"
)

// object is a JSON object whose members are found by their exact names: encoding/json takes "Version" for "version", so that
// two readers could see different documents in the same signed bytes.
type object map[string]json.RawMessage

// read decodes a member that must be there.
func (o object) read(name string, into any) error {
	found, err := o.readOptional(name, into)
	if err == nil && !found {
		return fmt.Errorf("%s is missing", name)
	}
	return err
}

// readOptional decodes a member and reports whether there is one; null is none.
func (o object) readOptional(name string, into any) (bool, error) {
	value, ok := o[name]
	if !ok || string(value) == "null" {
		return false, nil
	}
	if err := json.Unmarshal(value, into); err != nil {
		return true, fmt.Errorf("%s: %w", name, err)
	}
	return true, nil
}
