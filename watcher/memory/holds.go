package memory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// holdsName is no name of a cluster.
const holdsName = ".holds"

// Hold is that a tunnel holds Pods of a member cluster which are not ready (package brake).
type Hold struct {
	Cluster string               `json:"cluster"`
	Tunnel  types.NamespacedName `json:"tunnel"`
	// Since is when it began, Until when it ends at the latest.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Lost and Of are what began it: so many Pods of so many.
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
func (s *Store) SaveHolds(holds []Hold) error {
	payload, err := json.Marshal(holds)
	if err == nil && len(payload) > maxPayload {
		err = fmt.Errorf("they take %d bytes; at most %d are kept", len(payload), maxPayload)
	}
	if err != nil {
		return fmt.Errorf("the holds cannot be remembered: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(holds) == 0 {
		if err = s.root.Remove(holdsName); err == nil {
			err = syncDirectory(s.root)
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = s.replace(holdsName, frame(magicHolds, payload))
	}
	if err != nil {
		return fmt.Errorf("the holds cannot be written to %s: %w; until then a restart knows those that were written before", s.file(holdsName), cause(err))
	}
	return nil
}

// LoadHolds returns the holds that are remembered; none is no error. An error says what is wrong with the file: it is left as it is until
// the next SaveHolds.
func (s *Store) LoadHolds() ([]Hold, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := s.read(holdsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var payload []byte
	if err == nil {
		payload, err = unframe(magicHolds, file)
	}
	var holds []Hold
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(payload))
		decoder.DisallowUnknownFields()
		if err = decoder.Decode(&holds); err != nil {
			err = fmt.Errorf("has the right checksum but makes no sense: %w", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the holds that were remembered are not used: %s: %w; the file is replaced with the next hold", s.file(holdsName), err)
	}
	return holds, nil
}
