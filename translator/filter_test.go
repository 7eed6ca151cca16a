package translator

import (
	"regexp"
	"strings"
)

// apply does to a path what Envoy does with a rewrite of a matched prefix.
func apply(rewrite *pathRewrite, prefix, path string) string {
	switch {
	case rewrite == nil:
		return path
	case rewrite.prefix != "":
		return rewrite.prefix + strings.TrimPrefix(path, prefix)
	default:
		pattern := regexp.MustCompile(rewrite.regex.GetPattern().GetRegex())
		return pattern.ReplaceAllString(path, strings.ReplaceAll(rewrite.regex.GetSubstitution(), `\1`, "${1}"))
	}
}
