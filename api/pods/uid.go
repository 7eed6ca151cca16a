package pods

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// UID says which object of its name a Pod is, in a third of the memory of its text. It only serves to tell Pods apart. The zero UID is none.
type UID [16]byte

// UIDOf is the UID of an object's metadata.uid: the bytes of a UUID as Kubernetes writes them (RFC 9562 section 4, lower case). Of any other text,
// which no API server sends, it is a UUID of version 8 (section 5.8) that is made of its SHA-256. "" is none.
func UIDOf(text string) UID {
	if text == "" {
		return UID{}
	}
	if uid, ok := parseUID(text); ok {
		return uid
	}
	sum := sha256.Sum256([]byte(text))
	uid := UID(sum[:])
	uid[6], uid[8] = uid[6]&0x0f|0x80, uid[8]&0x3f|0x80
	return uid
}

// String is the UUID as Kubernetes writes it, "" for none.
func (u UID) String() string {
	if u == (UID{}) {
		return ""
	}
	var text [36]byte
	at := 0
	for i, group := range [...][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			text[at] = '-'
			at++
		}
		at += hex.Encode(text[at:], group)
	}
	return string(text[:])
}

// Compare orders UIDs as their texts.
func (u UID) Compare(other UID) int { return bytes.Compare(u[:], other[:]) }

func parseUID(text string) (uid UID, ok bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return UID{}, false
	}
	at := 0
	for i := range uid {
		if text[at] == '-' {
			at++
		}
		high, low := digits[text[at]], digits[text[at+1]]
		if high|low > 0xf {
			return UID{}, false
		}
		uid[i] = high<<4 | low
		at += 2
	}
	return uid, true
}

// digits are the values of hexadecimal digits in lower case, and 0xff for anything else.
var digits = func() (values [256]byte) {
	for i := range values {
		values[i] = 0xff
	}
	for value, digit := range []byte("0123456789abcdef") {
		values[digit] = byte(value)
	}
	return values
}()
