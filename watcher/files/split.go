package files

import (
	"bytes"
)

// A List as kubectl prints it is cut into its items before it is parsed: one
// tree of all its nodes would take gigabytes for tens of thousands of Pods, and
// an item that did not change costs a hash.

// splitList cuts the items of a block-style List out of the text of a document. rest is the text without them. It returns
// false where the document is of another form, and is to be parsed as a whole.
func splitList(text []byte) (items []chunk, rest []byte, ok bool) {
	begin, line := itemsBegin(text)
	if begin < 0 {
		return nil, nil, false
	}
	indent, start, startLine := -1, -1, 0
	at := begin
	for ; at < len(text); line++ {
		end := lineEnd(text, at)
		depth, first := indentation(text[at:end])
		switch {
		case first == 0 || first == '#':
		case first == '\t':
			return nil, nil, false
		case indent < 0 && isDash(text[at+depth:end]):
			indent, start, startLine = depth, at, line
		case depth == indent && isDash(text[at+depth:end]):
			items = append(items, chunk{text: text[start:at], line: startLine})
			start, startLine = at, line
		case indent < 0 || depth <= indent:
			if depth != 0 {
				return nil, nil, false
			}
			if start >= 0 {
				items = append(items, chunk{text: text[start:at], line: startLine})
			}
			return items, append(bytes.Clone(text[:begin]), text[at:]...), true
		}
		at = end
	}
	if start >= 0 {
		items = append(items, chunk{text: text[start:], line: startLine})
	}
	return items, bytes.Clone(text[:begin]), true
}

// itemsBegin is where the line after the top-level key items begins, and its number; -1 where there is none.
func itemsBegin(text []byte) (at, line int) {
	for at, line = 0, 1; at < len(text); line++ {
		end := lineEnd(text, at)
		if bytes.Equal(bytes.TrimRight(text[at:end], " \r\n"), []byte("items:")) {
			return end, line + 1
		}
		at = end
	}
	return -1, 0
}

// indentation counts the spaces that a line begins with, and returns the first other character, 0 for a blank line.
func indentation(line []byte) (int, byte) {
	for i, c := range line {
		switch c {
		case ' ':
		case '\r', '\n':
			return i, 0
		default:
			return i, c
		}
	}
	return len(line), 0
}

// isDash says whether an entry of a list begins here.
func isDash(line []byte) bool {
	return line[0] == '-' && (len(line) == 1 || line[1] == ' ' || line[1] == '\n' || line[1] == '\r')
}

// blockOf makes the text of a list entry a block of its own: its dash becomes a space. It writes into scratch.
func blockOf(entry, scratch []byte) []byte {
	out := scratch[:0]
	out = append(out, entry...)
	if i := bytes.IndexByte(out, '-'); i >= 0 {
		out[i] = ' '
	}
	return out
}

// prune drops, in place, the blocks of an object's text that nobody reads: the status, the spec of a Pod, and of the
// metadata all but name, namespace and labels. It keeps the newlines, so that line numbers stay. What is left must be parsed;
// where that fails, the text was of another form, and is to be parsed as a whole.
func prune(text []byte) []byte {
	root, pod := rootOf(text)
	out := text[:0]
	dropping, metadata, inner := false, false, -1
	for at := 0; at < len(text); {
		end := lineEnd(text, at)
		line := text[at:end]
		depth, first := indentation(line)
		switch {
		case first == 0 || first == '#':
		case depth <= root && !isDash(line[depth:]):
			key := keyOf(line[depth:])
			dropping = key == "status" || key == "spec" && pod
			metadata, inner = key == "metadata", -1
		case metadata:
			if inner < 0 {
				inner = depth
			}
			if depth == inner && !isDash(line[depth:]) {
				key := keyOf(line[depth:])
				dropping = key != "name" && key != "namespace" && key != "labels"
			}
		}
		if dropping {
			out = append(out, '\n')
		} else {
			out = append(out, line...)
		}
		at = end
	}
	return out
}

// rootOf finds how far the fields of an object are indented, and whether it is a Pod.
func rootOf(text []byte) (indent int, pod bool) {
	indent = -1
	for at := 0; at < len(text); {
		end := lineEnd(text, at)
		depth, first := indentation(text[at:end])
		if first != 0 && first != '#' && indent < 0 {
			indent = depth
		}
		if depth == indent && bytes.Equal(bytes.TrimSpace(text[at:end]), []byte("kind: Pod")) {
			return indent, true
		}
		at = end
	}
	return indent, false
}

func keyOf(line []byte) string {
	if i := bytes.IndexByte(line, ':'); i >= 0 {
		return string(line[:i])
	}
	return ""
}
