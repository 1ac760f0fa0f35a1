// Package token owns the tokens of the token header (RFC 0682): it issues them, accepts or refuses them, lists and revokes
// them. A token permits the methods that it names, for a limited time, any number of times or only so often.
//
// Its text is known to whoever it was issued to. What is stored is one file per token, which holds a hash of the secret
// half: a line of JSON that never changes, followed by one byte for each use. So a use is spent by appending a byte and
// waiting until it is on disk, before what it pays for begins: whatever dies when, it does not come back. Processes take
// turns by a lock on the file. There is no daemon; every process of the user works on the files.
//
// [Store] is the files, [Guard] what a daemon puts in front of its methods. Issuing, use, refusal and revocation each leave
// a line in a log of the same form as that of signatures; the secret is in neither.
package token
