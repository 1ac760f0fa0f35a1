package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
)

// ErrPassphrase is in the chain when a key file does not open with the passphrase given, or needs one and got none.
var ErrPassphrase = errors.New("wrong passphrase")

// The cost of opening a key file, in bcrypt rounds. aboutASecond picks within these bounds: OpenSSH's own default since
// 9.4, and half of the most that x/crypto opens.
const (
	minRounds = 24
	maxRounds = 1024
)

// aboutASecond returns the number of rounds that take an idle machine like this one about a second. Processor time is what
// counts, and the best of some samples: a busy machine must not make cheap key files.
func aboutASecond() int {
	each := time.Second
	for range 5 {
		before := processorTime()
		bcryptPBKDF([]byte("sample"), []byte("sample"), 1, derivedSize)
		each = max(min(each, processorTime()-before), time.Microsecond)
	}
	return min(max(int(time.Second/each), minRounds), maxRounds)
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0 // Then aboutASecond picks the most rounds: safe, if slow.
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

const (
	cipherName  = "aes256-ctr"
	keySize     = 32
	derivedSize = keySize + aes.BlockSize // key and first counter block
	magic       = "openssh-key-v1\x00"
	pemType     = "OPENSSH PRIVATE KEY"
)

// encodeKey makes an encrypted OpenSSH key file (PROTOCOL.key of OpenSSH).
func encodeKey(key ed25519.PrivateKey, comment string, passphrase []byte, rounds int) []byte {
	salt := random(16)
	derived := bcryptPBKDF(passphrase, salt, rounds, derivedSize)
	secret := secretPart(key, comment)
	block, err := aes.NewCipher(derived[:keySize])
	if err != nil {
		panic(err) // The key's size is right.
	}
	cipher.NewCTR(block, derived[keySize:]).XORKeyStream(secret, secret)
	file := append([]byte(magic), ssh.Marshal(struct {
		Cipher, KDF string
		Options     []byte
		Keys        uint32
		Public      []byte
		Secret      []byte
	}{cipherName, "bcrypt", ssh.Marshal(struct {
		Salt   []byte
		Rounds uint32
	}{salt, uint32(rounds)}), 1, sshKey(key.Public().(ed25519.PublicKey)).Marshal(), secret})...)
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: file})
}

// secretPart is what gets encrypted: a random number twice, to tell a wrong passphrase, and the key, padded with 1, 2, 3, ….
func secretPart(key ed25519.PrivateKey, comment string) []byte {
	check := binary.BigEndian.Uint32(random(4))
	part := ssh.Marshal(struct {
		Check1, Check2  uint32
		Type            string
		Public, Private []byte
		Comment         string
	}{check, check, ssh.KeyAlgoED25519, key.Public().(ed25519.PublicKey), key, comment})
	for i := byte(1); len(part)%aes.BlockSize != 0; i++ {
		part = append(part, i)
	}
	return part
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // Never fails: crypto/rand ends the program rather than give bad entropy.
	return b
}

// decodeKey reads a private key in any format that OpenSSH writes, and PKCS 8. An unencrypted one needs no passphrase.
func decodeKey(data, passphrase []byte) (ed25519.PrivateKey, error) {
	// Found out first, as x/crypto has no words for it and nobody should type a passphrase in vain.
	if kind := fileKeyType(data); kind != "" && kind != ssh.KeyAlgoED25519 {
		return nil, errNotDevice(kind)
	}
	raw, err := ssh.ParseRawPrivateKey(data)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		if len(passphrase) == 0 {
			return nil, fmt.Errorf("%w: the key needs one", ErrPassphrase)
		}
		raw, err = ssh.ParseRawPrivateKeyWithPassphrase(data, passphrase)
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, ErrPassphrase
		}
	}
	if err != nil {
		return nil, errUnreadable(data, err)
	}
	switch key := raw.(type) {
	case *ed25519.PrivateKey:
		return admitted(*key)
	case ed25519.PrivateKey:
		return admitted(key)
	}
	return nil, fmt.Errorf("it is a %T, not an Ed25519 key", raw)
}

// errUnreadable says what x/crypto has no words for.
func errUnreadable(data []byte, err error) error {
	switch block, _ := pem.Decode(data); {
	case block == nil && isPublicKey(data):
		return errors.New("it is the public half: name the file without .pub")
	case block == nil:
		return errors.New("it is no private key file")
	case block.Type == "ENCRYPTED PRIVATE KEY":
		return errors.New("it is encrypted in PKCS 8, which is not read: take the encryption off, or write it in OpenSSH's format")
	}
	return err
}

func isPublicKey(data []byte) bool {
	_, _, _, _, err := ssh.ParseAuthorizedKey(data)
	return err == nil
}

// fileKeyType is the type of the key in an OpenSSH file, which is not encrypted; empty for other formats.
func fileKeyType(data []byte) string {
	var file struct {
		Cipher, KDF, Options string
		Keys                 uint32
		Public               []byte
		Rest                 []byte `ssh:"rest"`
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != pemType {
		return ""
	}
	body, ok := bytes.CutPrefix(block.Bytes, []byte(magic))
	if !ok || ssh.Unmarshal(body, &file) != nil {
		return ""
	}
	key, err := ssh.ParsePublicKey(file.Public)
	if err != nil {
		return ""
	}
	return key.Type()
}

// admitted refuses weak keys, and key files whose two halves differ: whoever signs with such a file gives the key away.
func admitted(key ed25519.PrivateKey) (ed25519.PrivateKey, error) {
	if !key.Equal(ed25519.NewKeyFromSeed(key.Seed())) {
		return nil, fmt.Errorf("%w: it does not belong to the private key beside it", ErrWeakKey)
	}
	return key, CheckPublicKey(key.Public().(ed25519.PublicKey))
}

// maxKeyFile bounds a key file in bytes; ours take about 500.
const maxKeyFile = 64 << 10

// ReadPublicKey tells which key a private key file holds, without the passphrase. Nothing proves it until the file is opened.
func ReadPublicKey(path string) (peer.ID, error) {
	data, err := readFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read key: %w", err)
	}
	id, err := publicPart(data)
	if err != nil {
		return "", fmt.Errorf("cannot read key %s: %w", path, err)
	}
	return id, nil
}

func publicPart(data []byte) (peer.ID, error) {
	if kind := fileKeyType(data); kind != "" && kind != ssh.KeyAlgoED25519 {
		return "", errNotDevice(kind)
	}
	var locked *ssh.PassphraseMissingError
	if _, err := ssh.ParseRawPrivateKey(data); errors.As(err, &locked) && locked.PublicKey != nil {
		return peer.Parse(string(ssh.MarshalAuthorizedKey(locked.PublicKey)))
	}
	key, err := decodeKey(data, nil)
	if err != nil {
		return "", err
	}
	return peer.FromPublicKey(key.Public().(ed25519.PublicKey))
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := ReadKey(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// ReadKey reads what a key file holds, of at most 64 KiB.
func ReadKey(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("it is larger than %d bytes", maxKeyFile)
	}
	return data, nil
}
