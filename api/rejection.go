package api

import "time"

// Rejection is one resource's content that an Envoy refused.
type Rejection struct {
	// Node is the Envoy's node.id, View what it has: that of its Gateway, NAMESPACE/NAME, or of a minority of its Envoys.
	Node    string
	View    string
	Key     ResourceKey
	Version string
	// Message is Envoy's own reason, without the content that it repeats, cut at 2 KiB.
	Message string
	// Owners are those of the rejected resource.
	Owners []Owner
	// Outdated is true where the View has another content by now, or none.
	Outdated bool
	// Again is true for what was told before: the content has come back, or the Envoy has it in another view.
	Again bool
}

// Answers is what the connected Envoys of a view say of the present content of a resource.
type Answers struct {
	// Accepted is how many of the Envoys that subscribe to it have it, and Waiting how many have yet to be sent it or to answer.
	Accepted, Waiting int
	// Rejected are the nodes that refused it, sorted, and Builds the version of each one's Envoy.
	Rejected, Builds []string
	// Version is that of the content. Message is what most of them said of it, and Had is what most accepted before, of those of which it is
	// known, and of several such the first: one that has taken nothing for long is no measure for the others. "" and nil where it is known of none.
	Version, Message string
	Had              *Resource
	// HadNothing is true where none of them has any version of the name.
	HadNothing bool
}

// Member is an Envoy of a minority: of a node.id and of a version, for another version may take what this one rejects.
type Member struct{ Node, Build string }

// HeldBack is a content that Envoys rejected and that is not served any more: what they accept stands in for it, until the object that
// it was made from changes.
type HeldBack struct {
	Key ResourceKey
	// Version is that of the content, Message what the Envoys said of it, and At when.
	Version, Message string
	At               time.Time
	// Object is what is to blame and Field, where it can be told, which of its fields.
	Object ObjectRef
	Field  string
	// Nodes are the Envoys that rejected it, sorted.
	Nodes []string
}
