// Package api holds what all of podway speaks of: a Problem, a reference to
// an object, and an Envoy resource. It knows no source and no server.
package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says what a Problem costs.
type Severity string

const (
	// Error means that the object, or the part of it that Field names, is not in force.
	Error Severity = "Error"
	// Warning means that the object is in force, but perhaps not as its author meant.
	Warning Severity = "Warning"
)

// ObjectRef names an object. Cluster is set for an object of a member
// cluster, such as a Service, and empty for podway's own configuration.
type ObjectRef struct {
	Cluster   string `json:"cluster,omitempty"`
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String is "Kind namespace/name", with "cluster:" before the namespace where there is one.
func (r ObjectRef) String() string {
	name := r.Name
	if r.Namespace != "" {
		name = r.Namespace + "/" + name
	}
	if r.Cluster != "" {
		name = r.Cluster + ":" + name
	}
	if r.Kind == "" {
		return name
	}
	return r.Kind + " " + name
}

// Problem is a person's mistake, or a state of the outside that a person
// should know of: where it is, what is wrong and what to do about it.
type Problem struct {
	// Code is a stable CamelCase name, such as MissingCluster.
	Code     string    `json:"code"`
	Severity Severity  `json:"severity"`
	Object   ObjectRef `json:"object,omitzero"`
	// Generation is the object's metadata.generation; 0 where it has none.
	Generation int64 `json:"generation,omitempty"`
	// Field is the path of the field, such as spec.services[2].podWeight; empty for the whole object.
	Field string `json:"field,omitempty"`
	// Message says what is wrong, as a sentence without a full stop.
	Message string `json:"message"`
	// Remedy says what to do, as an imperative without a full stop.
	Remedy string `json:"remedy"`
	// File is the path as the source was given it; Line counts from 1. Empty and 0 where there is no file.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// String is one line: file:line: severity Code: object field: message; remedy.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s %s: ", strings.ToLower(string(p.Severity)), p.Code)
	if p.Object != (ObjectRef{}) {
		b.WriteString(p.Object.String())
		if p.Field != "" {
			b.WriteString(" " + p.Field)
		}
		b.WriteString(": ")
	} else if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	if p.Remedy != "" {
		b.WriteString("; " + p.Remedy)
	}
	return b.String()
}

// SortProblems orders problems by place and object, and removes exact repeats.
func SortProblems(problems []Problem) []Problem {
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			compareRefs(a.Object, b.Object),
			strings.Compare(a.Field, b.Field), strings.Compare(a.Code, b.Code), strings.Compare(a.Message, b.Message),
			strings.Compare(string(a.Severity), string(b.Severity)), strings.Compare(a.Remedy, b.Remedy),
			cmp.Compare(a.Generation, b.Generation),
		)
	})
	return slices.Compact(problems)
}

func compareRefs(a, b ObjectRef) int {
	return cmp.Or(
		strings.Compare(a.Kind, b.Kind), strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Namespace, b.Namespace),
		strings.Compare(a.Name, b.Name), strings.Compare(a.Group, b.Group),
	)
}
