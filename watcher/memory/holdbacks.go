package memory

import "github.com/podway/podway/api"

var holdbacks = list{file: ".holdbacks", magic: magicHoldbacks, what: "holdbacks"}

// SaveHoldbacks remembers what is held back, in the order in which it comes; nothing removes the file. When it returns, what it wrote survives
// a loss of power; when it fails, what was remembered before still is.
func (s *Store) SaveHoldbacks(all []api.Holdback) error { return saveList(s, holdbacks, all) }

// LoadHoldbacks returns what is remembered to be held back; nothing is no error. An error says what is wrong with the file: it is left as it
// is until the next SaveHoldbacks.
func (s *Store) LoadHoldbacks() ([]api.Holdback, error) { return loadList[api.Holdback](s, holdbacks) }
