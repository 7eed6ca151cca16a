package memory

import (
	"encoding/json"
	"time"

	"github.com/podway/podway/api"
)

var holdbacks = list{file: ".holdbacks", magic: magicHoldbacks, what: "holdbacks"}

// Holdback is that the Envoys of a Gateway rejected a part of the configuration, and what they have instead.
type Holdback struct {
	// View is that of a Gateway, NAMESPACE/NAME, or of a minority of its Envoys (api.Minority).
	View     string        `json:"gateway"`
	Object   api.ObjectRef `json:"object"`
	Listener string        `json:"listener,omitempty"`
	// Podway is the version of the podway that made of the part what was rejected.
	Podway string `json:"podway"`
	// Rejected tells the form that was rejected from any other.
	Rejected string `json:"rejected"`
	// Form is the last form that was accepted, without status and annotations; none where none is known. Refused is for an HTTPRoute that
	// answers 500 then.
	Form    json.RawMessage `json:"form,omitempty"`
	Refused bool            `json:"refused,omitempty"`
	// Everywhere is true where all Gateways that share the part had held it back, and Alone, once another came that does not.
	Everywhere bool `json:"everywhere,omitempty"`
	Alone      bool `json:"alone,omitempty"`
	// Type and Name are the resource that was rejected, in which Version, by which Nodes, with which Builds of Envoy, of how many Envoys, with which
	// Message, and when. Field is what the message leads to.
	Type    string    `json:"type"`
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Message string    `json:"message"`
	Field   string    `json:"field,omitempty"`
	Nodes   []string  `json:"nodes"`
	Builds  []string  `json:"builds,omitempty"`
	Envoys  int       `json:"envoys"`
	At      time.Time `json:"at"`
}

// SaveHoldbacks remembers what is held back, in the order in which it comes; nothing removes the file. When it returns, what it wrote survives
// a loss of power; when it fails, what was remembered before still is.
func (s *Store) SaveHoldbacks(all []Holdback) error { return saveList(s, holdbacks, all) }

// LoadHoldbacks returns what is remembered to be held back; nothing is no error. An error says what is wrong with the file: it is left as it
// is until the next SaveHoldbacks.
func (s *Store) LoadHoldbacks() ([]Holdback, error) { return loadList[Holdback](s, holdbacks) }
