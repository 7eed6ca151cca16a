package snapshot

import (
	"encoding/binary"
	"maps"
	"slices"
)

// Lines says where the fields of an object are. It is looked into when something is wrong with one of them, and kept for all: so it is one piece
// of text, in a tenth of the memory of a map. It is immutable; the zero Lines knows no field. Equal content is equal by ==.
type Lines struct {
	// packed has the paths in their order. Of each: how many bytes it has in common with the one before, how many follow, these, and its line;
	// numbers are varints.
	packed string
}

// LinesOf are the lines of field paths, such as spec.services[2].podWeight, in an object that begins on the line from.
func LinesOf(fields map[string]int, from int) Lines {
	var packed []byte
	before := ""
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		common := 0
		for common < min(len(before), len(path)) && before[common] == path[common] {
			common++
		}
		packed = binary.AppendUvarint(packed, uint64(common))
		packed = binary.AppendUvarint(packed, uint64(len(path)-common))
		packed = append(packed, path[common:]...)
		packed = binary.AppendVarint(packed, int64(fields[path]-from))
		before = path
	}
	return Lines{string(packed)}
}

// Of is how many lines below the first line of its object a field is, else the nearest of its parents that is there; 0 where there is none.
// The work grows with all fields of the object.
func (l Lines) Of(field string) int {
	var path []byte
	nearest, at := 0, 0
	for rest := l.packed; rest != ""; {
		common := uvarint(&rest)
		suffix := uvarint(&rest)
		path = append(path[:common], rest[:suffix]...)
		rest = rest[suffix:]
		line := unzigzag(uvarint(&rest))
		if len(path) > nearest && IsWithin(field, path) {
			nearest, at = len(path), line
		}
	}
	return at
}

// IsWithin says whether a field's path is another one, or that of a part of it.
func IsWithin[Path string | []byte](field string, of Path) bool {
	return len(of) <= len(field) && field[:len(of)] == string(of) && (len(field) == len(of) || field[len(of)] == '.' || field[len(of)] == '[')
}

// uvarint takes a number off the front of what LinesOf wrote.
func uvarint(from *string) int {
	var n uint64
	for shift := 0; ; shift += 7 {
		b := (*from)[0]
		*from = (*from)[1:]
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return int(n)
		}
	}
}

// unzigzag undoes what binary.AppendVarint does to a number that may be negative.
func unzigzag(n int) int { return int(uint(n)>>1) ^ -(n & 1) }
