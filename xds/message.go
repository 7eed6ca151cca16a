package xds

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxMessageBytes = 2 << 10
	// dumpMark begins the text form of a message in what Envoy says of a violated proto constraint.
	dumpMark = "goo.gle/debugproto"
	// dumpEnd begins what follows it: Envoy's reason.
	dumpEnd = "\n: "
)

// reasonOf is what a NACK says, without the resource's whole content: Envoy puts that before its reason, with private keys in it where it
// is a Secret, and a reader learns nothing from it that the object does not say.
func reasonOf(message string) string {
	message = strings.Map(withoutControl, message)
	head, dump, found := strings.Cut(message, dumpMark)
	if !found {
		return cut(strings.TrimSpace(message))
	}
	head = strings.TrimRight(strings.TrimSpace(head), ": ")
	tail := ""
	if at := strings.LastIndex(dump, dumpEnd); at >= 0 {
		tail = strings.TrimSpace(dump[at+len(dumpEnd):])
	}
	switch {
	case head == "" && tail == "":
		return "Envoy gives no reason in the space it has; see its log"
	case head == "" || tail == "":
		return cut(head + tail)
	}
	return cut(head + "; " + tail)
}

// withoutControl takes out what would act on a terminal rather than be read, in strings.Map.
func withoutControl(r rune) rune {
	if unicode.IsControl(r) && r != '\n' && r != '\t' {
		return -1
	}
	return r
}

// cut bounds a client's message without breaking a character.
func cut(message string) string {
	if len(message) <= maxMessageBytes {
		return message
	}
	end := maxMessageBytes
	for end > 0 && !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end]
}
