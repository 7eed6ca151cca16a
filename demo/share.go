package demo

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

const (
	// MinimumDue is how many requests a Pod must be due before its share is judged.
	MinimumDue = 200
	// MaximumDeviation is how far a share may be off, in standard deviations of a binomial draw: by chance, one of two million is.
	MaximumDeviation = 5
)

// Share is a Pod's part of the requests.
type Share struct {
	// Pod is CLUSTER/NAMESPACE/NAME.
	Pod string
	// Weight of the Pod; 0 for one that is due nothing.
	Weight int
	// Requests that it answered, of Total.
	Requests, Total int
	// Expected is its part by weight, 0 to 1.
	Expected float64
}

// Observed is its part of the requests, 0 to 1.
func (s Share) Observed() float64 {
	if s.Total == 0 {
		return 0
	}
	return float64(s.Requests) / float64(s.Total)
}

// Deviation is how far Observed is from Expected, in standard deviations of a
// binomial draw; 0 where there is nothing to judge by.
func (s Share) Deviation() float64 {
	sigma := math.Sqrt(float64(s.Total) * s.Expected * (1 - s.Expected))
	if sigma == 0 {
		return 0
	}
	return (float64(s.Requests) - float64(s.Total)*s.Expected) / sigma
}

// Err is nil where the share is as it should be, or too small to judge.
func (s Share) Err() error {
	due := float64(s.Total) * s.Expected
	switch {
	case s.Expected == 0 && s.Requests > 0:
		return fmt.Errorf("%s answered %d requests, but is due none", s.Pod, s.Requests)
	case s.Expected == 1 && s.Requests < s.Total:
		return fmt.Errorf("%s answered %d of %d requests, but is due all", s.Pod, s.Requests, s.Total)
	case due >= MinimumDue && math.Abs(s.Deviation()) > MaximumDeviation:
		return fmt.Errorf("%s answered %d of %d requests, but is due %.0f: %+.1f standard deviations",
			s.Pod, s.Requests, s.Total, due, s.Deviation())
	}
	return nil
}

// Shares compares the answers of each Pod with its weight, sorted by Pod. A Pod
// that answered without having a weight is among them, with an expected share of 0.
func Shares(weights, answers map[string]int) []Share {
	total, sum := 0, 0
	all := map[string]bool{}
	for pod, weight := range weights {
		sum += weight
		all[pod] = true
	}
	for pod, count := range answers {
		total += count
		all[pod] = true
	}
	shares := make([]Share, 0, len(all))
	for _, pod := range slices.Sorted(maps.Keys(all)) {
		share := Share{Pod: pod, Weight: weights[pod], Requests: answers[pod], Total: total}
		if sum > 0 {
			share.Expected = float64(weights[pod]) / float64(sum)
		}
		shares = append(shares, share)
	}
	return shares
}

// CheckShares joins what is wrong with each.
func CheckShares(shares []Share) error {
	var wrong []error
	for _, share := range shares {
		wrong = append(wrong, share.Err())
	}
	return errors.Join(wrong...)
}
