package files

import (
	"bytes"
	"iter"
)

// A document of a YAML stream is cut out of the text before it is parsed: an
// unchanged document then costs a hash. The marks cannot be anything else: YAML
// forbids `---` and `...` at the beginning of a line inside of any scalar.
type chunk struct {
	text []byte
	// line is the first line of the text, counted from 1.
	line int
}

// documents cuts a stream into its documents, empty ones left out.
func documents(text []byte) iter.Seq[chunk] {
	return func(yield func(chunk) bool) {
		start, startLine, line := 0, 1, 0
		flush := func(end int) bool {
			part := text[start:end]
			return blank(part) || yield(chunk{text: part, line: startLine})
		}
		for at := 0; at < len(text); {
			line++
			end := lineEnd(text, at)
			switch mark := text[at:end]; {
			case isMark(mark, "---"):
				if !flush(at) {
					return
				}
				start, startLine = at, line
			case isMark(mark, "..."):
				if !flush(at) {
					return
				}
				start, startLine = end, line+1
			}
			at = end
		}
		flush(len(text))
	}
}

// lineEnd is the index after the newline of the line that begins at a position.
func lineEnd(text []byte, at int) int {
	if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
		return at + n + 1
	}
	return len(text)
}

func isMark(line []byte, mark string) bool {
	if !bytes.HasPrefix(line, []byte(mark)) {
		return false
	}
	rest := line[len(mark):]
	return len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n' || rest[0] == '\r'
}

// blank says whether a part of a stream holds nothing but marks, comments and directives.
func blank(text []byte) bool {
	for at := 0; at < len(text); {
		end := lineEnd(text, at)
		line := text[at:end]
		if isMark(line, "---") {
			line = line[3:]
		}
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && (line[0] != '%' || text[at] != '%') {
			return false
		}
		at = end
	}
	return true
}
