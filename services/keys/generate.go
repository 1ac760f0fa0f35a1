package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lnk-suite/lnk/ipc"
	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

// Generate makes a new Ed25519 key and stores it at path, in OpenSSH's format, encrypted so that one guess at the
// passphrase costs about a second; the public key goes to path.pub. Files appear whole or not at all, and existing ones
// are never replaced (os.ErrExist). Missing folders are made, for the user alone.
func Generate(path, comment string, passphrase []byte) (peer.ID, error) {
	return store(path, comment, passphrase, calibrated, func() (ed25519.PrivateKey, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return admitted(key)
	})
}

// Import stores a private key that was made elsewhere, as Generate does. data is in any format of OpenSSH or PKCS 8;
// oldPassphrase opens it and may be nil if it is not encrypted. A weak key is refused (ErrWeakKey).
func Import(path, comment string, passphrase, data, oldPassphrase []byte) (peer.ID, error) {
	return store(path, comment, passphrase, calibrated, func() (ed25519.PrivateKey, error) {
		return decodeKey(data, oldPassphrase)
	})
}

// calibrated, as a number of rounds, means as many as take about a second here.
const calibrated = 0

func store(path, comment string, passphrase []byte, rounds int, obtain func() (ed25519.PrivateKey, error)) (peer.ID, error) {
	if err := checkStore(path, comment, passphrase); err != nil {
		return "", fmt.Errorf("cannot store key %s: %w", path, err)
	}
	key, err := obtain()
	if err != nil {
		return "", fmt.Errorf("cannot store key %s: %w", path, err)
	}
	defer clear(key)
	id, err := peer.FromPublicKey(key.Public().(ed25519.PublicKey))
	if err != nil {
		return "", err
	}
	if rounds == calibrated {
		rounds = aboutASecond()
	}
	line := strings.TrimSpace(id.SSHKey()+" "+comment) + "\n"
	if err := writePair(path, encodeKey(key, comment, passphrase, rounds), []byte(line)); err != nil {
		return "", err
	}
	return id, nil
}

func checkStore(path, comment string, passphrase []byte) error {
	switch {
	case len(passphrase) == 0:
		return errors.New("the passphrase is empty")
	case strings.ContainsAny(comment, "\r\n\x00"):
		return errors.New("the comment has more than one line")
	}
	for _, p := range []string{path, path + ".pub"} {
		switch _, err := os.Lstat(p); {
		case err == nil:
			return ipc.Errorf(ipc.AlreadyExists, "%s: %w", p, fs.ErrExist).WithHint("choose another name, or load the key that is there: lnk key add " + path)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return os.MkdirAll(filepath.Dir(path), 0o700)
}

// writePair writes both files or none. The private one comes first: alone it is still a usable key.
func writePair(path string, private, public []byte) error {
	if err := profile.CreateFile(path, private, 0o600); err != nil {
		return err
	}
	if err := profile.CreateFile(path+".pub", public, 0o644); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
