package api

import "strings"

// minority ends the name of a view that is not for all Envoys of its Gateway. No Gateway's name can end so.
const minority = " (minority)"

// Minority names the view of those Envoys that reject some of what a view has and most of the others take. A view without such an ending is named
// after its Gateway, NAMESPACE/NAME, and is for all other Envoys of it.
func Minority(view string) string { return view + minority }

// MajorityOf is the view that the Envoys of a minority would have otherwise; false for a view that is of no minority.
func MajorityOf(view string) (majority string, isMinority bool) {
	return strings.CutSuffix(view, minority)
}

// GatewayOf is the Gateway, NAMESPACE/NAME, whose Envoys have a view.
func GatewayOf(view string) string {
	for {
		majority, isMinority := MajorityOf(view)
		if !isMinority {
			return view
		}
		view = majority
	}
}
