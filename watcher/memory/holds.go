package memory

import (
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

var holds = list{file: ".holds", magic: magicHolds, what: "holds"}

// Hold is that a tunnel holds Pods of a member cluster which are not ready (package brake).
type Hold struct {
	Cluster string               `json:"cluster"`
	Tunnel  types.NamespacedName `json:"tunnel"`
	// Since is when it began, Until when it ends at the latest.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Lost and Of are what began it: so many Pods of so many. Lost is 0 where nothing is held yet: the Pods lost readiness at Since, which
	// counts Until then.
	Lost int       `json:"lost"`
	Of   int       `json:"of"`
	Pods []HeldPod `json:"pods"`
}

// HeldPod is a Pod that is held: by its name and UID, or by its address where it has no name.
type HeldPod struct {
	Namespace string     `json:"namespace,omitempty"`
	Name      string     `json:"name,omitempty"`
	UID       string     `json:"uid,omitempty"`
	Address   netip.Addr `json:"address,omitzero"`
}

// SaveHolds remembers the holds that there are, in the order in which they come; none removes the file. When it returns, what it wrote survives
// a loss of power; when it fails, what was remembered before still is.
func (s *Store) SaveHolds(all []Hold) error { return saveList(s, holds, all) }

// LoadHolds returns the holds that are remembered; none is no error. An error says what is wrong with the file: it is left as it is until
// the next SaveHolds.
func (s *Store) LoadHolds() ([]Hold, error) { return loadList[Hold](s, holds) }
