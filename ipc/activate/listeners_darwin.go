package activate

import (
	"errors"

	"github.com/lnk-suite/lnk/launchd"
)

// launchdListeners asks for each name: launchd hands out only what is asked for by name, so there are no surprises.
func launchdListeners(names []string) ([]Listener, error) {
	var all []Listener
	for _, name := range names {
		files, err := launchd.Activate(name)
		if errors.Is(err, launchd.ErrNotManaged) {
			continue
		}
		if err != nil {
			return nil, err
		}
		ls, err := takeAll(files, names)
		closeAll(files)
		if err != nil {
			return nil, err
		}
		all = append(all, ls...)
	}
	return all, nil
}
