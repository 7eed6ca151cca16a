package xds

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func manyNames(count int) (names []string) {
	for i := range count {
		names = append(names, fmt.Sprintf("n%03d", i))
	}
	return names
}

func TestSetIsItsNamesInAnyOrderAndNothingElse(t *testing.T) {
	var sets nameSets
	names := manyNames(3)
	set := sets.of(names)
	require.True(t, set.is(names))
	require.True(t, set.is([]string{"n002", "n000", "n001"}))
	for _, other := range [][]string{nil, names[:2], {"n000", "n001", "n001"}, {"n000", "n001", "x"}, manyNames(4)} {
		require.False(t, set.is(other), other)
	}
	var none *nameSet
	require.True(t, none.is(nil))
	require.False(t, none.is(names))
}

func TestFirstNamesCountOnceAndAreShared(t *testing.T) {
	var sets nameSets
	for _, count := range []int{foldAfter, foldAfter + 1} {
		names := manyNames(count)
		again := slices.Concat(names, names[:5])
		slices.Reverse(again)
		var a, b subscription
		a.start(again, &sets)
		b.start(names, &sets)
		require.Equal(t, count, a.count)
		require.Equal(t, 4*count, a.bytes)
		require.Equal(t, names, a.list())
		require.Equal(t, names, b.list())
		require.True(t, a.named("n000"))
		require.False(t, a.named("x"))
		a.fold(&sets)
		b.fold(&sets)
		if count > foldAfter {
			require.Same(t, a.shared, b.shared)
		}
		sets.release(a.shared)
		sets.release(b.shared)
		require.Empty(t, sets.byHash)
	}
}
