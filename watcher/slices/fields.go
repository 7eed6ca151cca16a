package slices

import "google.golang.org/protobuf/encoding/protowire"

// fields reads the fields of an encoded message one by one, without a copy: what it returns are parts of the message.
type fields struct {
	rest string
	// bad is true once something was not as it should be.
	bad bool

	// What was read: bytes for a field of BytesType, digits for one of VarintType.
	number protowire.Number
	kind   protowire.Type
	bytes  string
	digits uint64
}

// next reads a field, and returns false where there is no other.
func (f *fields) next() bool {
	if f.bad || f.rest == "" {
		return false
	}
	tag := f.varint()
	number, kind := protowire.DecodeTag(tag)
	f.number, f.kind = number, kind
	f.bad = f.bad || number < protowire.MinValidNumber
	switch kind {
	case protowire.VarintType:
		f.digits = f.varint()
	case protowire.BytesType:
		f.bytes = f.take(f.varint())
	case protowire.Fixed32Type:
		f.take(4)
	case protowire.Fixed64Type:
		f.take(8)
	default:
		f.bad = true
	}
	return !f.bad
}

// ended is true where all was read, and all of it was as it should be.
func (f *fields) ended() bool { return !f.bad && f.rest == "" }

// text is the field as a string or a message.
func (f *fields) text() string {
	f.bad = f.bad || f.kind != protowire.BytesType
	return f.bytes
}

// value is the field as a number.
func (f *fields) value() uint64 {
	f.bad = f.bad || f.kind != protowire.VarintType
	return f.digits
}

func (f *fields) condition() condition {
	if f.value() != 0 {
		return isTrue
	}
	return isFalse
}

// entry is the field as an entry of a map of strings.
func (f *fields) entry() (key, value string, ok bool) {
	inner := fields{rest: f.text()}
	for inner.next() {
		switch inner.number {
		case entryKey:
			key = inner.text()
		case entryValue:
			value = inner.text()
		}
	}
	f.bad = f.bad || !inner.ended()
	return key, value, !f.bad
}

// varint reads a number.
func (f *fields) varint() (v uint64) {
	for shift := uint(0); shift < 64; shift += 7 {
		if f.rest == "" {
			break
		}
		b := f.rest[0]
		f.rest = f.rest[1:]
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	f.bad = true
	return 0
}

// take cuts off so many bytes.
func (f *fields) take(size uint64) string {
	if size > uint64(len(f.rest)) {
		f.bad = true
		return ""
	}
	taken := f.rest[:size]
	f.rest = f.rest[size:]
	return taken
}
