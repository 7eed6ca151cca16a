package files

import "errors"

// Load reads files and directories once, in the order given, as one
// configuration. An error says that a path cannot be read at all; what is wrong
// with what is in them are the Problems of the State's Config.
func Load(paths []string, options Options) (*State, error) {
	if len(paths) == 0 {
		return nil, errors.New("no path to read was given")
	}
	r := newReader(paths, options, nil)
	if _, err := r.refresh(true, map[string]bool{}); err != nil {
		return nil, err
	}
	state := r.state
	return &state, nil
}
