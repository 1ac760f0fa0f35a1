package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/BurntSushi/toml"
)

// Settings is the suite's configuration, the file Dirs.Settings. Whatever it leaves out has its usual value.
type Settings struct {
	Tokens TokenSettings `toml:"tokens"`
}

// TokenSettings is the table [tokens].
type TokenSettings struct {
	// Require lists the methods that answer only those who show a token, "git.refs" or "git.*".
	Require []string `toml:"require"`
}

// ReadSettings reads the configuration. A missing file is an empty one; a setting that nobody knows is an error, as it would
// do nothing.
func (d Dirs) ReadSettings() (Settings, error) {
	data, err := os.ReadFile(d.Settings())
	if errors.Is(err, fs.ErrNotExist) {
		return Settings{}, nil
	}
	var s Settings
	if err == nil {
		err = decodeTOML(data, &s)
	}
	if err != nil {
		return Settings{}, fmt.Errorf("cannot read the settings in %s: %w", d.Settings(), err)
	}
	return s, nil
}

// decodeTOML fills v, which has a field for everything that data may say.
func decodeTOML(data []byte, v any) error {
	meta, err := toml.Decode(string(data), v)
	if err != nil {
		return err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return fmt.Errorf("unknown setting %s", unknown[0])
	}
	return nil
}
