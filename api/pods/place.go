package pods

import "unique"

// Place is where a Pod runs. It takes one word: all that are equal share their text. The zero Place is one of which nothing is known.
type Place struct{ where unique.Handle[where] }

type where struct{ node, zone string }

// PlaceOf is the Place of a node's name and a zone, of which either may be "". It keeps no part of either.
func PlaceOf(node, zone string) Place {
	if node == "" && zone == "" {
		return Place{}
	}
	return Place{unique.Make(where{node, zone})} // which clones what it has not seen
}

// Node is the name of the node, "" where it is not known.
func (p Place) Node() string { return p.value().node }

// Zone is the topology.kubernetes.io/zone of the node, "" where it is not known.
func (p Place) Zone() string { return p.value().zone }

func (p Place) value() where {
	if p == (Place{}) {
		return where{}
	}
	return p.where.Value()
}
