package profile

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	d := newDirs(t)
	if s, err := d.ReadSettings(); err != nil || len(s.Tokens.Require) != 0 {
		t.Errorf("without a file: %+v, %v", s, err)
	}
	if err := os.MkdirAll(d.Config, 0o700); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                                  "",
		"[tokens]\n":                        "",
		"[tokens]\nrequire = [\"git.*\"]\n": "",
		"[tokens]\nrequired = []\n":         "unknown setting tokens.required",
		"[token]\n":                         "unknown setting token",
		"colour = 1\n":                      "unknown setting colour",
		"[tokens]\nrequire = \"git.*\"\n":   "require",
		"[tokens":                           "toml",
	} {
		if err := os.WriteFile(d.Settings(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := d.ReadSettings()
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), d.Settings())) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if strings.Contains(text, "git.*\"]") && !slices.Equal(s.Tokens.Require, []string{"git.*"}) {
			t.Errorf("%q: %+v", text, s)
		}
	}
}
