package main

import "fmt"

// atMost prints whether a figure of podway's meets its target.
func (o options) atMost(what string, is, target float64) {
	o.verdict(what, is, "at most", target, is <= target)
}

// atLeast is atMost for figures that are to be high.
func (o options) atLeast(what string, is, target float64) {
	o.verdict(what, is, "at least", target, is >= target)
}

func (o options) verdict(what string, is float64, bound string, target float64, met bool) {
	word := "met"
	if !met {
		word = "MISSED"
	}
	fmt.Fprintf(o.out, "  %-6s  %s: %.3g, %s %.3g\n", word, what, is, bound, target)
}
