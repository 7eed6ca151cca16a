package translator

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podway/podway/api/pods"
	"k8s.io/apimachinery/pkg/labels"
)

// TestContradictionsAreThoseThatNoPodCanMatch compares with trying all Pods there can be.
func TestContradictionsAreThoseThatNoPodCanMatch(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	values := []string{"x", "y", "z"}
	pick := func() string { return values[random.IntN(len(values))] }
	var everyPod []labels.Set
	for _, a := range []string{"x", "y", "z", "any other", ""} {
		for _, b := range []string{"x", "y", "z", "any other", ""} {
			pod := labels.Set{"a": a, "b": b}
			maps.DeleteFunc(pod, func(_, value string) bool { return value == "" })
			everyPod = append(everyPod, pod)
		}
	}
	operators := []metav1.LabelSelectorOperator{
		metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist,
	}
	contradictions := 0
	for range 5000 {
		service, narrower := map[string]string{}, &metav1.LabelSelector{MatchLabels: map[string]string{}}
		for _, key := range []string{"a", "b"} {
			if random.IntN(2) == 0 {
				service[key] = pick()
			}
			if random.IntN(3) == 0 {
				narrower.MatchLabels[key] = pick()
			}
			for range random.IntN(3) {
				expression := metav1.LabelSelectorRequirement{Key: key, Operator: operators[random.IntN(len(operators))]}
				if expression.Operator == metav1.LabelSelectorOpIn || expression.Operator == metav1.LabelSelectorOpNotIn {
					expression.Values = []string{pick(), pick()}
				}
				narrower.MatchExpressions = append(narrower.MatchExpressions, expression)
			}
		}
		selector, err := metav1.LabelSelectorAsSelector(narrower)
		require.NoError(t, err)
		possible := false
		for _, pod := range everyPod {
			possible = possible || labels.SelectorFromSet(service).Matches(pod) && selector.Matches(pod)
		}
		said := contradicts(pods.LabelsOf(service), narrower)
		require.Equal(t, possible, said == "", "%v and %v: %s", service, narrower, said)
		if !possible {
			contradictions++
		}
	}
	require.NotZero(t, contradictions)
}
