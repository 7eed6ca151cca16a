package slices

import (
	"slices"
	"time"

	"github.com/podway/podway/api/pods"
)

// renaming is how long a port of a Service goes by its former name too. Slices call ports by name: those of a Service whose port was renamed follow some
// time later, one after the other, by another controller and another watch, and whoever asks for the port by its number must find it in
// either. The names are often changed by people who add a port, for the only port of a Service needs none.
const renaming = 30 * time.Second

// rename is a port of a Service that has another name now.
type rename struct{ from, to string }

// renamed are the ports of a Service that go by both names until a time.
type renamed struct {
	ports []rename
	until time.Time
}

// renames are the ports that have another name and the number that they had, unless another port has that name now, or had the new one.
func renames(before, after *pods.Service) []rename {
	if before == nil || after == nil {
		return nil
	}
	named := func(ports []pods.ServicePort, name string) bool {
		return slices.ContainsFunc(ports, func(p pods.ServicePort) bool { return p.Name == name })
	}
	var found []rename
	for _, was := range before.Ports {
		for _, is := range after.Ports {
			if was.Port == is.Port && was.Protocol == is.Protocol && was.Name != is.Name && !named(after.Ports, was.Name) && !named(before.Ports, is.Name) {
				found = append(found, rename{from: was.Name, to: is.Name})
			}
		}
	}
	return found
}

// rename notes which ports another form of the Service names otherwise. Those that were renamed a moment ago still have the name before that, too.
func (e *entry) rename(after *pods.Service, now time.Time) {
	found := renames(e.service, after)
	if len(found) == 0 || now.IsZero() {
		return
	}
	var earlier []rename
	if e.renamed != nil {
		earlier = e.renamed.ports
	}
	for _, earlier := range earlier {
		for _, r := range found {
			if earlier.to == r.from && earlier.from != r.to {
				found = append(found, rename{from: earlier.from, to: r.to})
				break
			}
		}
	}
	e.renamed = &renamed{ports: found, until: now.Add(renaming)}
}

// renamedPods are Pods of which each has its ports by both names; and until when.
func (e *entry) renamedPods(set []pods.Pod, now time.Time) ([]pods.Pod, time.Time) {
	if e.renamed != nil && !now.Before(e.renamed.until) {
		e.renamed = nil
	}
	if e.renamed == nil {
		return set, time.Time{}
	}
	groups := map[*pods.Group]*pods.Group{}
	set = slices.Clone(set)
	for i := range set {
		pod := &set[i]
		if groups[pod.Group] == nil {
			made := *pod.Group
			made.Ports = bothNames(made.Ports, e.renamed.ports)
			groups[pod.Group] = &made
		}
		pod.Group = groups[pod.Group]
	}
	// One that is in two slices by either name is there once.
	slices.SortFunc(set, comparePods)
	return slices.CompactFunc(set, equalPods), e.renamed.until
}

// bothNames are the ports, sorted, and those that were renamed once more.
func bothNames(ports []pods.Port, renames []rename) []pods.Port {
	out := slices.Clone(ports)
	add := func(name, as string) {
		for _, port := range ports {
			if port.Name == name && !slices.ContainsFunc(out, func(p pods.Port) bool { return p.Name == as }) {
				out = append(out, pods.Port{Name: as, Number: port.Number})
			}
		}
	}
	for _, r := range renames {
		add(r.from, r.to)
		add(r.to, r.from)
	}
	slices.SortFunc(out, comparePorts)
	return out
}
