package keys

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"golang.org/x/crypto/ssh"
)

// openedKey is a private key for the moment between file and agent.
type openedKey struct {
	key     ed25519.PrivateKey
	id      peer.ID
	comment string
}

func openKey(ctx context.Context, path string, passphrase func(context.Context) ([]byte, error)) (openedKey, error) {
	data, err := readPrivate(path)
	if err != nil {
		return openedKey{}, fmt.Errorf("cannot read key: %w", err)
	}
	defer clear(data)
	if kind := fileKeyType(data); kind != "" && kind != ssh.KeyAlgoED25519 {
		return openedKey{}, fmt.Errorf("cannot open key %s: %w", path, errNotDevice(kind))
	}
	var secret []byte
	if NeedsPassphrase(data) {
		if secret, err = passphrase(ctx); err != nil {
			return openedKey{}, fmt.Errorf("cannot open key %s: %w", path, err)
		}
		defer clear(secret)
	}
	key, err := decodeKey(data, secret)
	if err != nil {
		return openedKey{}, fmt.Errorf("cannot open key %s: %w", path, err)
	}
	id, err := peer.FromPublicKey(key.Public().(ed25519.PublicKey))
	return openedKey{key, id, comment(path, id)}, err
}

// readPrivate refuses a file that others can read or write, as ssh-add does: their guesses at the passphrase would cost them
// nothing but time. What is no private key may be public.
func readPrivate(path string) ([]byte, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	const others = 0o077
	info, err := os.Stat(path)
	if block, _ := pem.Decode(data); block != nil && err == nil && info.Mode().IsRegular() && info.Mode()&others != 0 {
		clear(data)
		return nil, ipc.Errorf(ipc.PermissionDenied, "%s can be read by others: its mode is %04o", path, info.Mode().Perm()).
			WithHint("chmod 600 " + path)
	}
	return data, nil
}

// IsEncrypted says whether the private key file at path needs a passphrase.
func IsEncrypted(path string) (bool, error) {
	data, err := readFile(path)
	if err != nil {
		return false, fmt.Errorf("cannot read key: %w", err)
	}
	defer clear(data)
	return NeedsPassphrase(data), nil
}

// CheckPassphrase says whether a passphrase opens the private key file at path: nil, or ErrPassphrase.
func CheckPassphrase(path string, passphrase []byte) error {
	own := slices.Clone(passphrase) // openKey clears what it is given
	opened, err := openKey(context.Background(), path, func(context.Context) ([]byte, error) { return own, nil })
	clear(opened.key)
	return err
}

// NeedsPassphrase says whether a private key is encrypted. data is what a key file holds.
func NeedsPassphrase(data []byte) bool {
	var locked *ssh.PassphraseMissingError
	_, err := ssh.ParseRawPrivateKey(data)
	return errors.As(err, &locked)
}

// comment is what the .pub file beside the key says, so that ssh-add -l shows what people know; else the peer id.
func comment(path string, id peer.ID) string {
	line, err := readFile(path + ".pub")
	if err != nil {
		return string(id)
	}
	fields := strings.SplitN(strings.TrimSpace(string(line)), " ", 3)
	if len(fields) < 3 {
		return string(id)
	}
	return fields[2]
}
