package translator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podway/podway/api/pods"
)

// contradicts says why no Pod can match both a Service's selector and a
// podSelector, or "" where one could. Both are conjunctions over labels, so it
// is enough to look at each label by itself.
func contradicts(service []pods.Label, selector *metav1.LabelSelector) string {
	demands := map[string]*demand{}
	on := func(label string) *demand {
		if demands[label] == nil {
			demands[label] = &demand{}
		}
		return demands[label]
	}
	for _, label := range service {
		on(label.Name).in([]string{label.Value}, fmt.Sprintf("the Service selects %s=%s", label.Name, label.Value))
	}
	for label, value := range selector.MatchLabels {
		on(label).in([]string{value}, fmt.Sprintf("podSelector wants %s=%s", label, value))
	}
	for _, expression := range selector.MatchExpressions {
		said := fmt.Sprintf("podSelector wants %s %s", expression.Key, expression.Operator)
		if len(expression.Values) > 0 {
			said += " (" + strings.Join(slices.Sorted(slices.Values(expression.Values)), ", ") + ")"
		}
		switch d := on(expression.Key); expression.Operator {
		case metav1.LabelSelectorOpIn:
			d.in(expression.Values, said)
		case metav1.LabelSelectorOpNotIn:
			d.not = append(d.not, expression.Values...)
			d.say(said)
		case metav1.LabelSelectorOpExists:
			d.exists = true
			d.say(said)
		case metav1.LabelSelectorOpDoesNotExist:
			d.absent = true
			d.say(said)
		}
	}
	for _, label := range slices.Sorted(maps.Keys(demands)) {
		if demands[label].impossible() {
			return strings.Join(demands[label].said, ", ")
		}
	}
	return ""
}

// demand is all that is asked of one label.
type demand struct {
	// values it may have, where limited.
	limited bool
	values  []string
	// not are values that it must not have; a Pod without the label is fine.
	not []string
	// exists and absent say that the label must be there, or not.
	exists, absent bool
	// said is what asked for it, in words.
	said []string
}

func (d *demand) say(said string) { d.said = append(d.said, said) }

func (d *demand) in(values []string, said string) {
	if d.limited {
		d.values = slices.DeleteFunc(d.values, func(value string) bool { return !slices.Contains(values, value) })
	} else {
		d.limited, d.values = true, slices.Clone(values)
	}
	d.exists = true
	d.say(said)
}

func (d *demand) impossible() bool {
	if d.exists && d.absent {
		return true
	}
	return d.limited && !slices.ContainsFunc(d.values, func(value string) bool { return !slices.Contains(d.not, value) })
}
