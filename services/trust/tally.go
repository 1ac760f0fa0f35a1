package trust

import "slices"

// Tally says which keys have signed: the signature that goes by the id of a key is given to check, once. Signed and missing
// keep the order of keys; faults says why signatures by missing keys do not count. Counting keys counts people only if the
// keys are distinct, which the caller knows.
func Tally[K any](keys []K, id func(K) string, signatures []Signature, check func(K, Signature) error) (signed, missing []K, faults []error) {
	for _, k := range keys {
		i := slices.IndexFunc(signatures, func(s Signature) bool { return s.KeyID == id(k) })
		if i < 0 {
			missing = append(missing, k)
		} else if err := check(k, signatures[i]); err != nil {
			missing, faults = append(missing, k), append(faults, err)
		} else {
			signed = append(signed, k)
		}
	}
	return signed, missing, faults
}
