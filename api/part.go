package api

// Part is what can be held back on its own when an Envoy rejects it: an object
// of the configuration or, of a Gateway, one listener.
type Part struct {
	ObjectRef
	// Listener is the name of a Gateway's listener; empty for other kinds.
	Listener string
}

// String is "Kind namespace/name", with "listener NAME" behind it where there is one.
func (p Part) String() string {
	if p.Listener == "" {
		return p.ObjectRef.String()
	}
	return p.ObjectRef.String() + " listener " + p.Listener
}

// Source is a Part in the form that a resource was made from.
type Source struct {
	Part
	// Form is a pointer to the API object, or to the listener; nil where the part was refused: an HTTPRoute or a Tunnel that is answered 500.
	Form any
	// Says is a comparable value of all that the resource holds of the part, where that is less than the Form: of a Tunnel in routes. nil
	// stands for the Form.
	Says any
}
