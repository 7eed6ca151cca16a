package translator

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// maxRegexBytes bounds what Envoy has to compile for one match.
const maxRegexBytes = 1024

// regexFault is why Envoy would refuse a regular expression; nil where it would not, but for one that is too large when it is compiled, which Envoy
// alone can tell. Go's syntax is that of RE2, which Envoy uses, but for two things: Envoy matches bytes (RE2's Latin-1), and Go knows more names of classes.
func regexFault(value string) *fieldProblem {
	if len(value) > maxRegexBytes {
		return &fieldProblem{code: codeInvalidRegularExpression, message: fmt.Sprintf("a regular expression of %d bytes is longer than %d", len(value), maxRegexBytes), remedy: "make it shorter, or split the rule"}
	}
	if _, err := regexp.Compile(value); err != nil || value == "" {
		return &fieldProblem{code: codeInvalidRegularExpression, message: fmt.Sprintf("%q is not a regular expression of RE2: %v", value, err), remedy: "correct it; look-around and back-references do not exist in RE2"}
	}
	for rest := value; ; {
		at := strings.IndexByte(rest, '\\')
		if at < 0 {
			return nil
		}
		rest = rest[at+1:]
		kind, argument := rest[0], ""
		rest = rest[1:]
		switch kind {
		case 'Q': // up to \E, nothing is an escape
			_, rest, _ = strings.Cut(rest, `\E`)
			continue
		case 'p', 'P', 'x':
			if strings.HasPrefix(rest, "{") {
				argument, rest, _ = strings.Cut(rest[1:], "}")
			}
		}
		if problem := escapeFault(kind, argument); problem != nil {
			return problem
		}
	}
}

// escapeFault is what is wrong with \p{argument}, \P{argument} and \x{argument}.
func escapeFault(kind byte, argument string) *fieldProblem {
	switch {
	case argument == "":
		return nil
	case kind == 'x':
		if code, err := strconv.ParseUint(argument, 16, 32); err == nil && code > 0xFF {
			return &fieldProblem{
				code: codeInvalidRegularExpression, message: fmt.Sprintf(`Envoy matches bytes, and \x{%s} is none`, argument),
				remedy: "write the character itself, or its bytes in UTF-8, each as two hexadecimal digits after \\x",
			}
		}
	case !isClassOfRE2(strings.TrimPrefix(argument, "^")):
		return &fieldProblem{
			code: codeInvalidRegularExpression, message: fmt.Sprintf(`Envoy's RE2 has no class \%c{%s}`, kind, argument),
			remedy: `use the short name of a category, such as \p{L} or \p{Lu}, or the name of a script, such as \p{Greek}`,
		}
	}
	return nil
}

// isClassOfRE2 knows the names that RE2 has: short ones of categories, and scripts, as they are written.
func isClassOfRE2(name string) bool {
	switch name {
	case "Any":
		return true
	case "Cn", "LC":
		return false
	}
	return unicode.Categories[name] != nil || unicode.Scripts[name] != nil && !scriptsAfterRE2[name]
}

// scriptsAfterRE2 are those of Unicode 16 and 17.
var scriptsAfterRE2 = map[string]bool{
	"Beria_Erfe": true, "Garay": true, "Gurung_Khema": true, "Kirat_Rai": true, "Ol_Onal": true, "Sidetic": true, "Sunuwar": true, "Tai_Yo": true, "Todhri": true,
	"Tolong_Siki": true, "Tulu_Tigalari": true,
}
