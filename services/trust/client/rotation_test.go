package client

import "fmt"

// quorum is one version of a role: the numbers of its keys, how many are needed, and of those that sign.
type quorum struct {
	keys      []int
	threshold int
	sign      []int
}

// signersOf returns the keys with these numbers.
func signersOf(all []simSigner, numbers []int) (some []simSigner) {
	for _, n := range numbers {
		some = append(some, all[n])
	}
	return some
}

func tenSigners() (all []simSigner) {
	for range 10 {
		all = append(all, newSigner("ecdsa", nil))
	}
	return all
}

// rootRotationCases are test_root_rotation of test_updater_key_rotations.py: the last version is accepted, or the one before.
func rootRotationCases() (cases []conformance) {
	five, other, moved := []int{0, 1, 2, 3, 4}, []int{5, 6, 7, 8, 9}, []int{0, 1, 3, 4, 5}
	three := []int{1, 2, 3}
	one, two := []int{1}, []int{2}
	for name, test := range map[string]struct {
		ok       bool
		versions []quorum
	}{
		"1-of-1-key-rotation":                                             {good, []quorum{{one, 1, one}, {two, 1, []int{2, 1}}, {two, 1, two}}},
		"1-of-1-key-rotation-unused-signatures":                           {good, []quorum{{one, 1, []int{3, 1, 4}}, {two, 1, []int{3, 2, 1, 4}}, {two, 1, []int{3, 2, 4}}}},
		"3-of-5-sign-with-different-keycombos":                            {good, []quorum{{five, 3, []int{0, 2, 4}}, {five, 3, []int{0, 4, 1}}, {five, 3, []int{0, 1, 3}}, {five, 3, []int{0, 1, 3}}}},
		"3-of-5-one-key-rotated":                                          {good, []quorum{{five, 3, []int{0, 2, 4}}, {moved, 3, []int{0, 4, 1}}}},
		"3-of-5-one-key-rotated-with-intermediate-step":                   {good, []quorum{{five, 3, []int{0, 2, 4}}, {moved, 3, []int{0, 2, 4, 5}}, {moved, 3, []int{0, 4, 5}}}},
		"3-of-5-all-keys-rotated-with-intermediate-step":                  {good, []quorum{{five, 3, []int{0, 2, 4}}, {other, 3, []int{0, 2, 4, 5, 6, 7}}, {other, 3, []int{5, 6, 7}}}},
		"1-of-3-threshold-increase-to-2-of-3":                             {good, []quorum{{three, 1, one}, {three, 2, []int{1, 2}}}},
		"2-of-3-threshold-decrease-to-1-of-3":                             {good, []quorum{{three, 2, []int{1, 2}}, {three, 1, []int{1, 2}}, {three, 1, one}}},
		"1-of-2-threshold-increase-to-2-of-2":                             {good, []quorum{{one, 1, one}, {[]int{1, 2}, 2, []int{1, 2}}}},
		"1-of-1-key-rotation-fail-not-signed-with-old-key":                {bad, []quorum{{one, 1, one}, {two, 1, []int{2, 3, 4}}}},
		"1-of-1-key-rotation-fail-not-signed-with-new-key":                {bad, []quorum{{one, 1, one}, {two, 1, []int{1, 3, 4}}}},
		"3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys":          {bad, []quorum{{five, 3, []int{0, 2, 4}}, {moved, 3, []int{0, 2, 4}}}},
		"3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys":          {bad, []quorum{{five, 3, []int{0, 2, 4}}, {moved, 3, []int{0, 4, 5}}}},
		"1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached": {bad, []quorum{{three, 1, one}, {three, 2, two}}},
		"2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-eached":  {bad, []quorum{{three, 2, []int{1, 2}}, {three, 1, one}}},
	} {
		cases = append(cases, conformance{fmt.Sprintf("test_root_rotation[%s]", name), func(w *world) {
			all := tenSigners()
			w.restart("root")
			for _, v := range test.versions {
				w.setKeys("root", v.threshold, signersOf(all, v.keys), signersOf(all, v.sign))
				w.publish("root")
			}
			w.everything()
			w.begin()
			w.refresh(test.ok)
			if !test.ok {
				w.published["root"] = w.published["root"][:len(test.versions)-1]
			}
			w.holds("root")
		}})
	}
	return cases
}

// roleRotationCases are test_non_root_rotations of the same file: each role in turn gets the keys.
func roleRotationCases() (cases []conformance) {
	five, moved := []int{0, 1, 2, 3, 4}, []int{0, 1, 3, 4, 5}
	for name, test := range map[string]struct {
		ok bool
		quorum
	}{
		"1-of-1-key-rotation":                                            {good, quorum{[]int{2}, 1, []int{2}}},
		"1-of-1-key-rotation-unused-signatures":                          {good, quorum{[]int{1}, 1, []int{3, 1, 4}}},
		"1-of-1-key-rotation-fail-not-signed-with-new-key":               {bad, quorum{[]int{2}, 1, []int{1, 3, 4}}},
		"3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys": {bad, quorum{moved, 3, []int{0, 2, 4}}},
		"2-of-5-one-key-signature-mising-threshold-not-reached":          {bad, quorum{moved, 3, []int{0, 4}}},
		"3-of-5-sign-first-combo":                                        {good, quorum{five, 3, []int{0, 2, 4}}},
		"3-of-5-sign-second-combo":                                       {good, quorum{five, 3, []int{0, 4, 1}}},
		"3-of-5-sign-third-combo":                                        {good, quorum{five, 3, []int{0, 1, 3}}},
		"3-of-5-sign-fourth-combo":                                       {good, quorum{five, 3, []int{1, 2, 3}}},
		"3-of-5-sign-fifth-combo":                                        {good, quorum{five, 3, []int{2, 3, 4}}},
	} {
		cases = append(cases, conformance{fmt.Sprintf("test_non_root_rotations[%s]", name), func(w *world) {
			all := tenSigners()
			w.begin()
			for _, role := range []string{"timestamp", "snapshot", "targets"} {
				w.setKeys(role, test.threshold, signersOf(all, test.keys), signersOf(all, test.sign))
				w.publish("root", "targets", "snapshot", "timestamp")
				w.refresh(test.ok)
				if test.ok {
					w.holds(role)
				}
			}
		}})
	}
	return cases
}
