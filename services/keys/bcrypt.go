package keys

import (
	"crypto/sha512"
	"encoding/binary"

	//lint:ignore SA1019 OpenSSH's file format is built on Blowfish; nothing else uses it.
	"golang.org/x/crypto/blowfish"
)

// bcryptBlock is the output of one bcrypt hash in bytes.
const bcryptBlock = 32

// bcryptPBKDF is bcrypt_pbkdf(3) of OpenBSD, the key derivation of OpenSSH key files. It is here because x/crypto keeps its
// own to itself and fixes the number of rounds at 16, a tenth of a second (golang/go#68700).
func bcryptPBKDF(passphrase, salt []byte, rounds, size int) []byte {
	pass := sha512.Sum512(passphrase)
	blocks := (size + bcryptBlock - 1) / bcryptBlock
	key := make([]byte, blocks*bcryptBlock)
	for block := range blocks {
		counted := binary.BigEndian.AppendUint32(append([]byte{}, salt...), uint32(block+1))
		last := bcryptHash(pass, sha512.Sum512(counted))
		sum := last
		for range rounds - 1 {
			last = bcryptHash(pass, sha512.Sum512(last[:]))
			for i := range sum {
				sum[i] ^= last[i]
			}
		}
		// The blocks are interleaved, so that half a key costs as much as the whole.
		for i, b := range sum {
			key[i*blocks+block] = b
		}
	}
	return key[:size]
}

// bcryptHash encrypts a fixed text 64 times with Blowfish, keyed by 64 rounds of salt and password in turn.
func bcryptHash(pass, salt [sha512.Size]byte) [bcryptBlock]byte {
	cipher, err := blowfish.NewSaltedCipher(pass[:], salt[:])
	if err != nil {
		panic(err) // Only a key of no bytes is refused.
	}
	for range 64 {
		blowfish.ExpandKey(salt[:], cipher)
		blowfish.ExpandKey(pass[:], cipher)
	}
	var text [bcryptBlock]byte
	copy(text[:], "OxychromaticBlowfishSwatDynamite")
	for at := 0; at < bcryptBlock; at += blowfish.BlockSize {
		block := text[at : at+blowfish.BlockSize]
		for range 64 {
			cipher.Encrypt(block, block)
		}
	}
	// The words leave in the other byte order than they came.
	for at := 0; at < bcryptBlock; at += 4 {
		word := text[at : at+4]
		binary.LittleEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	return text
}
