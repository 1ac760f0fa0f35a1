package project

import (
	"fmt"
	"maps"
	"testing"
)

// manyRefs is a set of n refs that all point at one commit.
func manyRefs(n int, oid OID) map[string]OID {
	refs := make(map[string]OID, n)
	for i := range n {
		refs[fmt.Sprintf("refs/heads/topic/%06d", i)] = oid
	}
	return refs
}

// BenchmarkWriteSignedRefs is what a push pays on top of git: encode, sign (with a key in memory), write four objects.
func BenchmarkWriteSignedRefs(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("refs=%d", n), func(b *testing.B) {
			f := newFixture(b, 1, signer(1))
			s := SignedRefs{URN: f.URN, Peer: signer(1).id(), Identity: f.identity.Blob}
			refs, tip := manyRefs(n, f.commit("one")), OID{}
			for b.Loop() {
				s = s.Next(tip, refs, f.identity.Blob)
				tip = f.write(signer(1), s)
			}
		})
	}
}

// BenchmarkReadSignedRefs is what a push pays to learn what the refs were.
func BenchmarkReadSignedRefs(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("refs=%d", n), func(b *testing.B) {
			f := newFixture(b, 1, signer(1))
			f.push(signer(1), manyRefs(n, f.commit("one")))
			for b.Loop() {
				if s, _, err := f.Repository.SignedRefs(b.Context(), signer(1).id()); err != nil || !maps.Equal(s.Refs, s.Refs) {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpenAndIdentity(b *testing.B) {
	f := newFixture(b, 1, signer(1))
	for b.Loop() {
		if _, err := f.Identity(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	for b.Loop() {
		newFixture(b, 1, signer(1))
	}
}

func BenchmarkVerify(b *testing.B) {
	f := newFixture(b, 1, signer(1))
	refs := manyRefs(10, f.commit("one"))
	for range 100 {
		f.push(signer(1), refs)
	}
	for b.Loop() {
		if report := f.verify(signer(1)); report.Err() != nil {
			b.Fatal(report.Err())
		}
	}
}
