package snapshot

import (
	"maps"
	"reflect"
)

// SameMap says whether two maps of pictures are one map. Nobody changes the maps of a Config once it has been handed on, and where nothing in one
// changed, the next picture may have the very same map: then there is nothing to compare. Two maps that are not one may be equal all the same.
func SameMap[M ~map[K]V, K comparable, V any](a, b M) bool {
	return reflect.ValueOf(a).UnsafePointer() == reflect.ValueOf(b).UnsafePointer()
}

// EqualMaps says whether two maps of pictures have the same in them.
func EqualMaps[M ~map[K]V, K, V comparable](a, b M) bool { return SameMap(a, b) || maps.Equal(a, b) }
