package access

import (
	"fmt"
	"strings"
)

// Status is how a part of a check went.
type Status string

// The ways that it can go.
const (
	StatusOK      Status = "ok"
	StatusWarning Status = "warning"
	StatusFailed  Status = "failed"
)

// Line is one part of a check.
type Line struct {
	// What was looked at, such as: watch endpointslices in namespace shop.
	What   string `json:"what"`
	Status Status `json:"status"`
	// Detail says what was found.
	Detail string `json:"detail,omitempty"`
	// Remedy says what to do, where something is wrong.
	Remedy string `json:"remedy,omitempty"`
}

// String is one line of text.
func (l Line) String() string {
	text := fmt.Sprintf("%s: %s", l.What, l.Status)
	if l.Detail != "" {
		text += ": " + l.Detail
	}
	if l.Remedy != "" {
		text += "; " + l.Remedy
	}
	return text
}

// Report is what a check has found, in the order in which one would look.
type Report struct {
	Lines []Line `json:"lines"`
}

// Failed says whether podway could not follow the cluster as it is.
func (r Report) Failed() bool {
	for _, line := range r.Lines {
		if line.Status == StatusFailed {
			return true
		}
	}
	return false
}

// String is all lines.
func (r Report) String() string {
	lines := make([]string, len(r.Lines))
	for i, line := range r.Lines {
		lines[i] = line.String()
	}
	return strings.Join(lines, "\n")
}

func (r *Report) add(status Status, what, remedy, format string, args ...any) {
	r.Lines = append(r.Lines, Line{What: what, Status: status, Detail: fmt.Sprintf(format, args...), Remedy: remedy})
}
