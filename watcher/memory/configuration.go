package memory

var configuration = list{file: ".configuration", magic: magicConfiguration, what: "files of the configuration"}

// File is a file of the configuration as it was when nothing was wrong with it.
type File struct {
	// Path is absolute.
	Path string `json:"path"`
	// Packed is its text (package files).
	Packed []byte `json:"packed"`
}

// SaveConfiguration remembers files of the configuration, in the order in which they come; none removes the file. When it returns, what it wrote
// survives a loss of power; when it fails, what was remembered before still is.
func (s *Store) SaveConfiguration(all []File) error { return saveList(s, configuration, all) }

// LoadConfiguration returns the files of the configuration that are remembered; none is no error. An error says what is wrong with the file: it is
// left as it is until the next SaveConfiguration.
func (s *Store) LoadConfiguration() ([]File, error) { return loadList[File](s, configuration) }
