package units

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnk-suite/lnk/services/keys"
)

func TestSeedDropIn(t *testing.T) {
	if credential != keys.Credential {
		t.Errorf("lnk key add looks for %s, not for %s", keys.Credential, credential)
	}
	id := newPeer(t, 1)
	for kind, want := range map[string]string{
		PassphraseEncrypted: "LoadCredentialEncrypted=lnk-passphrase:/a b/100%%/p\n",
		PassphraseFile:      "LoadCredential=lnk-passphrase:/a b/100%%/p\n",
		PassphraseManager:   "LoadCredential=lnk-passphrase\n",
		PassphraseNone:      "",
	} {
		file := Seed{id, "/a b/100%/key", kind, "/a b/100%/p"}.file(Config{Programs: "/usr/bin"})
		want = "[Service]\n" + want + `ExecStartPost="/usr/bin/lnk" key add --agent=%t/lnk-seed-%i/agent --forever -- "/a b/100%%/key"` + "\n"
		if string(file.Data) != want || file.Path != "user/lnk-seed-keys@"+string(id)+".service.d/seed.conf" {
			t.Errorf("%s: %s is\n%swant\n%s", kind, file.Path, file.Data, want)
		}
	}
	for _, seed := range []Seed{{id, "key", "", ""}, {id, "/k\ney", "", ""}, {id, "/key", PassphraseFile, "/p\n"}} {
		if _, err := Render(Config{Programs: "/bin", Seeds: []Seed{seed}}); err == nil {
			t.Errorf("%+v is rendered", seed)
		}
	}
}

// TestStorePassphrase has programs in systemd's place: what they answer decides, and no argument shows the passphrase.
func TestStorePassphrase(t *testing.T) {
	const secret = "correct horse"
	for name, test := range map[string]struct{ creds, run, kind string }{
		"systemd decrypts":          {"cat >$5", "exit 0", PassphraseEncrypted},
		"systemd cannot decrypt":    {"cat >$5", "exit 1", PassphraseFile},
		"systemd cannot encrypt":    {"exit 1", "exit 0", PassphraseFile},
		"half a file, then failure": {"echo x >$5; exit 1", "exit 0", PassphraseFile},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for program, text := range map[string]string{"systemd-creds": test.creds, "systemd-run": test.run} {
				text = "#!/bin/sh\necho \"$@\" >>'" + dir + "/args'\n" + text + "\n"
				if err := os.WriteFile(filepath.Join(dir, program), []byte(text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			m := &Manager{Environ: os.Environ()}
			stem := filepath.Join(dir, "new", "seed")
			if err := errors.Join(os.Mkdir(filepath.Dir(stem), 0o700), os.WriteFile(stem+plainSuffix, []byte("earlier"), 0o600)); err != nil {
				t.Fatal(err)
			}
			kind, path, err := m.StorePassphrase(t.Context(), stem, []byte(secret))
			if err != nil || kind != test.kind {
				t.Fatalf("stored as %s, %v; want %s", kind, err, test.kind)
			}
			if data, err := os.ReadFile(path); err != nil || string(data) != secret {
				t.Errorf("%s holds %q, %v", path, data, err)
			}
			if info, err := os.Stat(path); err != nil || kind == PassphraseFile && info.Mode().Perm() != 0o600 {
				t.Errorf("mode of %s: %v, %v", path, info.Mode(), err)
			}
			if files, _ := filepath.Glob(stem + "*"); len(files) != 1 {
				t.Errorf("left are %v", files)
			}
			if args, err := os.ReadFile(filepath.Join(dir, "args")); err != nil || strings.Contains(string(args), secret) {
				t.Errorf("arguments show the passphrase: %s, %v", args, err)
			}
			if err := RemovePassphrase(stem); err != nil {
				t.Error(err)
			}
			if files, _ := filepath.Glob(stem + "*"); len(files) != 0 {
				t.Errorf("left are %v", files)
			}
		})
	}
}
