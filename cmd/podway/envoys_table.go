package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/podway/podway/api"
	"github.com/podway/podway/xds"
)

// age says how long ago something was, empty where that does not count as a change.
type age func(time.Time) string

// ages are those at a time.
func ages(now time.Time) age {
	return func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return duration.HumanDuration(max(0, now.Sub(t)))
	}
}

func noAges(time.Time) string { return "" }

// render makes what is printed.
func (o envoysOptions) render(envoys []xds.StreamStatus, old age) ([]byte, error) {
	var out bytes.Buffer
	var err error
	switch {
	case *o.format != outputTable:
		err = printData(&out, *o.format, envoys)
	case len(envoys) == 0 && o.node != "":
		out.WriteString("no Envoy " + o.node + " is connected\n")
	case len(envoys) == 0:
		out.WriteString("no Envoys are connected\n")
	case o.node != "":
		for i := range envoys {
			if i > 0 {
				out.WriteString("\n")
			}
			err = printEnvoy(&out, &envoys[i], o.rows, old)
		}
	default:
		err = printEnvoys(&out, envoys, o.rows, old)
	}
	return out.Bytes(), err
}

// printEnvoys prints a row for each Envoy, and at the end how many there are.
func printEnvoys(out *bytes.Buffer, envoys []xds.StreamStatus, most int, old age) error {
	header := []string{"NODE", "GATEWAY", "ENVOY", "CONNECTED"}
	for _, short := range xds.ShortTypes() {
		header = append(header, strings.ToUpper(short))
	}
	rows := [][]string{append(header, "REJECTED")}
	shown := pickEnvoys(envoys, most)
	for _, envoy := range shown {
		rows = append(rows, envoyRow(envoy, old))
	}
	if err := printTable(out, rows); err != nil {
		return err
	}
	if more := len(envoys) - len(shown); more > 0 {
		fmt.Fprintf(out, "… and %d more: --rows 0 prints all\n", more)
	}
	out.WriteString(envoySummary(envoys) + "\n")
	return nil
}

// pickEnvoys are at most so many, in their order, and those with something to tell before the others.
func pickEnvoys(envoys []xds.StreamStatus, most int) []*xds.StreamStatus {
	var telling, quiet []*xds.StreamStatus
	for i := range envoys {
		if tells(&envoys[i]) {
			telling = append(telling, &envoys[i])
		} else {
			quiet = append(quiet, &envoys[i])
		}
	}
	all := slices.Concat(telling, quiet)
	if most > 0 && len(all) > most {
		all = all[:most]
	}
	return all
}

// tells is true for an Envoy that is not just current.
func tells(envoy *xds.StreamStatus) bool {
	behind, rejected := trouble(envoy)
	return behind || rejected || !envoy.Known
}

func trouble(envoy *xds.StreamStatus) (behind, rejected bool) {
	for i := range envoy.Types {
		behind = behind || envoy.Types[i].IsBehind()
		rejected = rejected || envoy.Types[i].IsRejecting()
	}
	return behind, rejected
}

// envoyID tells Envoys apart: one with a stream for each type has several.
type envoyID struct {
	gateway, node string
	// row is that of a stream for all types, of which an Envoy has one.
	row int
}

// countEnvoys counts those with a stream that is as given.
func countEnvoys(envoys []xds.StreamStatus, is func(*xds.StreamStatus) bool) int {
	those := map[envoyID]bool{}
	for i := range envoys {
		id := envoyID{row: i}
		if envoys[i].Only != "" {
			id = envoyID{gateway: envoys[i].Gateway, node: envoys[i].Node}
		}
		if is(&envoys[i]) {
			those[id] = true
		}
	}
	return len(those)
}

func envoySummary(envoys []xds.StreamStatus) string {
	all := countEnvoys(envoys, func(*xds.StreamStatus) bool { return true })
	text := api.Count(all, "Envoy")
	if len(envoys) > all {
		text += fmt.Sprintf(" on %d streams", len(envoys))
	}
	current := true
	for _, part := range []struct {
		text string
		is   func(*xds.StreamStatus) bool
	}{
		{"behind", func(envoy *xds.StreamStatus) bool { behind, _ := trouble(envoy); return behind }},
		{"with rejections", func(envoy *xds.StreamStatus) bool { _, rejected := trouble(envoy); return rejected }},
		{"of a Gateway that is not served", func(envoy *xds.StreamStatus) bool { return !envoy.Known }},
	} {
		if count := countEnvoys(envoys, part.is); count > 0 {
			current = false
			text += fmt.Sprintf(", %d %s", count, part.text)
		}
	}
	if current {
		text += ", all current"
	}
	return text
}

func envoyRow(envoy *xds.StreamStatus, old age) []string {
	gateway := dash(envoy.Gateway)
	if !envoy.Known {
		gateway += " (not served)"
	}
	row := []string{printable(envoy.Node), printable(gateway), dash(printable(envoy.Version)), clock(envoy.Connected)}
	rejected := 0
	for _, short := range xds.ShortTypes() {
		cell := "-"
		for i := range envoy.Types {
			if of := &envoy.Types[i]; xds.ShortType(of.Type) == short {
				cell = typeCell(of, old)
				rejected += of.Declined + of.HeldBack
			}
		}
		row = append(row, cell)
	}
	return append(row, strconv.Itoa(rejected))
}

// typeCell is "current", or how many resources are not, and for how long.
func typeCell(of *xds.TypeStatus, old age) string {
	var parts []string
	if of.IsBehind() {
		parts = append(parts, strings.TrimRight(fmt.Sprintf("%d behind %s", of.Behind+of.Leaving, old(of.BehindSince)), " -"))
	}
	if of.IsRejecting() {
		parts = append(parts, fmt.Sprintf("%d rejected", of.Declined+of.HeldBack))
	}
	if of.Withheld > 0 {
		parts = append(parts, fmt.Sprintf("%d held", of.Withheld))
	}
	if len(parts) == 0 {
		return "current"
	}
	return strings.Join(parts, ", ")
}

// printEnvoy prints one Envoy in full.
func printEnvoy(out *bytes.Buffer, envoy *xds.StreamStatus, most int, old age) error {
	served := ""
	if !envoy.Known {
		served = " (not served: set node.cluster to NAMESPACE/NAME of a Gateway whose GatewayClass is podway's)"
	}
	if err := printTable(out, [][]string{
		{"node", printable(envoy.Node)},
		{"Gateway", dash(printable(envoy.Gateway)) + served},
		{"Envoy", dash(printable(envoy.Version)) + ", " + envoy.Variant},
		{"address", dash(printable(envoy.Address))},
		{"connected", strings.TrimRight(clock(envoy.Connected)+"   "+old(envoy.Connected), " ")},
	}); err != nil {
		return err
	}
	out.WriteString("\n")
	rows := [][]string{{"TYPE", "WANTED", "CURRENT", "BEHIND", "REMOVALS", "REJECTED", "HELD", "BEHIND SINCE", "FOR", "LAST ACK"}}
	for i := range envoy.Types {
		of := &envoy.Types[i]
		since, behind := "-", "-"
		if !of.BehindSince.IsZero() {
			since, behind = clock(of.BehindSince), old(of.BehindSince)
		}
		rows = append(rows, []string{
			xds.ShortType(of.Type), strconv.Itoa(of.Wanted), strconv.Itoa(of.Current), strconv.Itoa(of.Behind), strconv.Itoa(of.Leaving),
			strconv.Itoa(of.Declined + of.HeldBack), strconv.Itoa(of.Withheld), since, behind, old(of.LastACK),
		})
	}
	if err := printTable(out, rows); err != nil {
		return err
	}
	printRejected(out, envoy, most)
	return nil
}

// printRejected prints a line for each rejected resource.
func printRejected(out *bytes.Buffer, envoy *xds.StreamStatus, most int) {
	printed, all := 0, 0
	for i := range envoy.Types {
		of := &envoy.Types[i]
		all += of.Declined + of.HeldBack
		for _, rejected := range of.Rejected {
			if most > 0 && printed == most {
				break
			}
			if printed == 0 {
				out.WriteString("\n")
			}
			printed++
			fmt.Fprintf(out, "rejected %s %s, version %s", xds.ShortType(of.Type), printable(rejected.Name), rejected.Version)
			if !rejected.At.IsZero() {
				fmt.Fprintf(out, ", at %s", clock(rejected.At))
			}
			if rejected.HeldBack {
				out.WriteString(", held back since")
			}
			out.WriteString(": ")
			if rejected.Object.Name != "" {
				out.WriteString(strings.TrimSpace(rejected.Object.String()+" "+rejected.Field) + ": ")
			}
			out.WriteString(dash(printable(rejected.Message)) + "\n")
		}
	}
	if more := all - printed; more > 0 {
		fmt.Fprintf(out, "… and %d more: --rows 0 prints all\n", more)
	}
}

// printable keeps what Envoys say of themselves from moving the cursor of a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
