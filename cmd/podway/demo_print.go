package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/podway/podway/demo"
)

// printer writes what a demo has to say. Plain text: it may go to a file.
type printer struct{ out io.Writer }

func (p printer) line(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, format+"\n", args...) // nobody reads any more; the demo ends by its context
}

// facts are names and what they stand for, in two columns.
func (p printer) facts(facts [][2]string) {
	for _, fact := range facts {
		p.line("  %-14s %s", fact[0], fact[1])
	}
}

// shares is the table of an act: those that are due a share in their order, then any that answered without being due.
func (p printer) shares(due []demo.DuePod, shares []demo.Share) {
	byPod := map[string]demo.Share{}
	for _, share := range shares {
		byPod[share.Pod] = share
	}
	const format = "   %-8s %-18s %-8s %6s %9s %9s"
	p.line("")
	p.line(format, "CLUSTER", "POD", "VERSION", "WEIGHT", "EXPECTED", "OBSERVED")
	for _, pod := range due {
		share := byPod[pod.ID()]
		delete(byPod, pod.ID())
		p.line(format, pod.Cluster, pod.Name, pod.Version(), strconv.Itoa(pod.Weight), percentOf(share.Expected), percentOf(share.Observed()))
	}
	for _, share := range shares {
		if _, stranger := byPod[share.Pod]; stranger {
			p.line(format, share.Pod, "", "", "-", percentOf(0), percentOf(share.Observed()))
		}
	}
}

func percentOf(part float64) string { return fmt.Sprintf("%.1f %%", part*100) }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

// thousands is a number with commas.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
