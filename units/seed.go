package units

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/lnk-suite/lnk/services/keys/peer"
	"github.com/lnk-suite/lnk/services/profile"
)

// Where the passphrase of an unattended peer's key comes from.
const (
	// PassphraseEncrypted is a file that only this machine's systemd can read for this user (systemd-creds --user).
	PassphraseEncrypted = "encrypted"
	// PassphraseManager is a credential that the user manager itself was given, by a drop-in of user@.service.
	PassphraseManager = "manager"
	// PassphraseFile is a file that only this user can read.
	PassphraseFile = "file"
	// PassphraseNone is for a key file without one.
	PassphraseNone = "none"
)

// A Seed is an unattended peer: an ssh-agent of its own holds its key, from the first connection on.
type Seed struct {
	Peer peer.ID
	// Key is the private key file.
	Key string
	// Passphrase is one of PassphraseEncrypted, PassphraseManager, PassphraseFile and PassphraseNone; empty means the last.
	Passphrase string
	// Credential is the file of the passphrase, for PassphraseEncrypted and PassphraseFile.
	Credential string
}

// credential is the name under which lnk key add looks for a passphrase (keys.Credential, which weighs too much to be imported).
const credential = "lnk-passphrase"

// seedDropIn is the file name of what fills a seed's agent.
const seedDropIn = "seed.conf"

func seedFile(id peer.ID) string {
	return "user/lnk-seed-keys@" + string(id) + ".service.d/" + seedDropIn
}

// file is the drop-in that fills the seed's agent. It names files, and holds no secret.
func (s Seed) file(c Config) File {
	load := map[string]string{
		PassphraseEncrypted: "LoadCredentialEncrypted=" + credential + ":" + escape(s.Credential) + "\n",
		PassphraseFile:      "LoadCredential=" + credential + ":" + escape(s.Credential) + "\n",
		PassphraseManager:   "LoadCredential=" + credential + "\n",
	}[s.Passphrase]
	text := "[Service]\n" + load + "ExecStartPost=" + quote(filepath.Join(c.Programs, "lnk")) +
		" key add --agent=%t/lnk-seed-%i/agent --forever -- " + quote(s.Key) + "\n"
	return File{Path: seedFile(s.Peer), Data: []byte(text)}
}

func (s Seed) check() error {
	if !filepath.IsAbs(s.Key) {
		return fmt.Errorf("the key file of a seed must be an absolute path, not %q", s.Key)
	}
	return errors.Join(printable(s.Key), printable(s.Credential))
}

// escape is for settings that take the rest of the line as it is, but for specifiers.
func escape(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// seedSockets names the socket units of the seeds that are installed.
func (m *Manager) seedSockets() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(m.Folder, seedFile("*")))
	for i, path := range found {
		stem := strings.TrimSuffix(filepath.Base(filepath.Dir(path)), ".service.d")
		found[i] = strings.Replace(stem, "lnk-seed-keys@", "lnk-seed-agent@", 1) + ".socket"
	}
	return found, err
}

// StorePassphrase puts a seed's passphrase where its agent finds it, in files that begin with stem: encrypted, if systemd
// can decrypt it again for a service of this user (since about version 258), else such that only this user can read it.
// It returns the kind and the file. A readable one that is there already goes when there is another.
func (m *Manager) StorePassphrase(ctx context.Context, stem string, passphrase []byte) (kind, path string, err error) {
	encrypted, plain := stem+encryptedSuffix, stem+plainSuffix
	if err := errors.Join(os.MkdirAll(filepath.Dir(stem), 0o700), remove(encrypted)); err != nil {
		return "", "", err
	}
	if m.encrypt(ctx, encrypted, passphrase) == nil {
		return PassphraseEncrypted, encrypted, remove(plain)
	}
	return PassphraseFile, plain, errors.Join(remove(encrypted), profile.WriteFile(plain, passphrase, 0o600))
}

const (
	encryptedSuffix = ".cred"
	plainSuffix     = ".passphrase"
)

// RemovePassphrase removes what StorePassphrase stored.
func RemovePassphrase(stem string) error {
	return errors.Join(remove(stem+encryptedSuffix), remove(stem+plainSuffix))
}

// remove makes sure that there is no file at path.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// encrypt makes an encrypted credential and has the user manager read it back. Both must work: versions 256 and 257 encrypt
// for users, but their user managers cannot decrypt.
func (m *Manager) encrypt(ctx context.Context, path string, passphrase []byte) error {
	write := exec.CommandContext(ctx, "systemd-creds", "--user", "--name="+credential, "encrypt", "-", path)
	write.Env, write.Stdin = m.Environ, bytes.NewReader(passphrase)
	if err := write.Run(); err != nil {
		return err
	}
	read := exec.CommandContext(ctx, "systemd-run", "--user", "--wait", "--quiet", "--collect",
		"--property=LoadCredentialEncrypted="+credential+":"+escape(path), "sh", "-c", "test -s \"$CREDENTIALS_DIRECTORY/"+credential+"\"")
	read.Env = m.Environ
	return read.Run()
}
