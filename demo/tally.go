package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxReasons bounds how many different reasons of failures a Tally keeps.
const maxReasons = 16

// Tally is what became of requests.
type Tally struct {
	// Requests is all of them, Failed those that were not answered as they should be.
	Requests, Failed int
	// Pods counts the answers of each Pod by its CLUSTER/NAMESPACE/NAME; answers of Envoy itself have none.
	Pods map[string]int
	// Status counts the answers of each HTTP status.
	Status map[int]int
	// Reasons counts the failures of each kind.
	Reasons map[string]int
}

// NewTally is an empty one.
func NewTally() *Tally {
	return &Tally{Pods: map[string]int{}, Status: map[int]int{}, Reasons: map[string]int{}}
}

// Add adds another one.
func (t *Tally) Add(other *Tally) {
	t.Requests += other.Requests
	t.Failed += other.Failed
	addCounts(t.Pods, other.Pods)
	addCounts(t.Status, other.Status)
	addCounts(t.Reasons, other.Reasons)
}

func addCounts[K comparable](to, from map[K]int) {
	for key, count := range from {
		to[key] += count
	}
}

func (t *Tally) fail(reason string) {
	t.Failed++
	if _, known := t.Reasons[reason]; !known && len(t.Reasons) >= maxReasons {
		reason = "other reasons"
	}
	t.Reasons[reason]++
}

// Err is nil where no request failed, and else says how many did, and why.
func (t *Tally) Err() error {
	if t.Failed == 0 {
		return nil
	}
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(t.Reasons)) {
		reasons = append(reasons, fmt.Sprintf("%d times: %s", t.Reasons[reason], reason))
	}
	return fmt.Errorf("%d of %d requests failed: %s", t.Failed, t.Requests, strings.Join(reasons, "; "))
}
