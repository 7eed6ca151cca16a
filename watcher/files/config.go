package files

import (
	"log/slog"
	"time"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

// Config says what to follow.
type Config struct {
	// Directory of the configuration.
	Directory string
	// OnState is called for every changed State, the first one complete, always from the goroutine that called Run. What it is
	// given is immutable.
	OnState func(State)
	// Options of reading.
	Options
	// Rescan is how often everything is looked at again, in case that the system lost a notification; default 30s.
	Rescan time.Duration
	// Logger; default slog.Default().
	Logger *slog.Logger
}

// Options of reading. The zero value has the defaults.
type Options struct {
	// MaxFileBytes is the largest configuration file that is read; default 4 MiB.
	MaxFileBytes int64
	// MaxObjectFileBytes is the largest file of a member cluster's objects that is read; default 64 MiB.
	MaxObjectFileBytes int64
	// MaxFiles is how many files are read at most, below one directory; default 20000.
	MaxFiles int
	// MaxObjects is how many objects are held at most, of the configuration and of each member cluster; default 1000000.
	MaxObjects int
	// Memory takes what is worth keeping for the next process, and has what an earlier one left; nil for neither.
	Memory *Memory
	// Now is the clock for snapshot.Config.Now; default time.Now.
	Now func() time.Time
}

const (
	mebibyte = 1 << 20

	defaultMaxFileBytes       = 4 * mebibyte
	defaultMaxObjectFileBytes = 64 * mebibyte
	defaultMaxFiles           = 20_000
	defaultMaxObjects         = 1_000_000
	defaultRescan             = 30 * time.Second
)

func (o Options) withDefaults() Options {
	if o.MaxFileBytes <= 0 {
		o.MaxFileBytes = defaultMaxFileBytes
	}
	if o.MaxObjectFileBytes <= 0 {
		o.MaxObjectFileBytes = defaultMaxObjectFileBytes
	}
	if o.MaxFiles <= 0 {
		o.MaxFiles = defaultMaxFiles
	}
	if o.MaxObjects <= 0 {
		o.MaxObjects = defaultMaxObjects
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// State is one consistent picture of the files. It is immutable; what did not
// change since the State before is the same pointer.
type State struct {
	// Config is the same pointer where only Pods changed.
	Config *snapshot.Config
	// Pods are the sets of all Services of all clusters that are read from files.
	Pods map[pods.ServiceKey]*pods.Set
	// Changed are those of Pods that the State before did not have like this; in the first State, all of them.
	Changed map[pods.ServiceKey]*pods.Set
	// Gone are the Services of the State before that Pods lacks, sorted.
	Gone []pods.ServiceKey
}
