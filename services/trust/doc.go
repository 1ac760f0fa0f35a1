// Package trust owns TUF metadata: it reads and writes the documents, says whose signatures count, and signs. It wraps
// go-tuf's types, which no other package sees, and adds what go-tuf has no hook for: signatures must verify under
// ZIP-215 and under the strict rules of RFC 8032, keys must be sound curve points, key ids must be the hashes they claim
// to be, and a quorum counts distinct keys. What passes here passes an unmodified go-tuf as well; tests hold it to that.
//
// Documents are read strictly: no member twice, no trailing data, integers only, nothing that two clients could read
// differently. A document keeps its bytes: adding a signature changes the list of signatures and not one byte of what
// is signed, whatever fields it has that this package does not know.
//
// The package holds no state and no key, and does not decide what is published when. See the TUF specification 1.0.34,
// sections 4 (formats) and 5.3 (root rotation).
package trust
