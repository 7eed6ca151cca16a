package api

import (
	"encoding/json"
	"time"
)

// Holdback is that the Envoys of a view rejected a part of the configuration, and what they have instead, as it is remembered for a restart.
type Holdback struct {
	// View is that of a Gateway, NAMESPACE/NAME, or of a minority of its Envoys (Minority).
	View     string    `json:"gateway"`
	Object   ObjectRef `json:"object"`
	Listener string    `json:"listener,omitempty"`
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
