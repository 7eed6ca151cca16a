package table

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

type value struct {
	key  int
	turn int
}

// TestTableIsAMap does the same to a Table and a map, with keys that are spread, that come one after the other, and that all belong to one slot.
func TestTableIsAMap(t *testing.T) {
	for name, hash := range map[string]func(int) uint64{
		"spread": nil, "in a row": func(key int) uint64 { return uint64(key) }, "all in the last slot": func(int) uint64 { return 1<<64 - 1 },
	} {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			table := New(func(v *value) int { return v.key })
			if hash != nil {
				table.hash = hash
			}
			want := map[int]*value{}
			for turn := range 10_000 {
				key := random.IntN(200)
				if random.IntN(400) > 200+200*(turn/500%2*2-1)*(turn%500)/500 { // It grows, and shrinks again.
					made := &value{key: key, turn: turn}
					table.Put(made)
					want[key] = made
				} else {
					table.Delete(key)
					delete(want, key)
				}
				require.Same(t, want[key], table.Get(key))
				require.Equal(t, len(want), table.Len())
				if turn%50 == 0 {
					require.ElementsMatch(t, slices.Collect(maps.Values(want)), slices.Collect(table.All()))
					for key := range 200 {
						require.Same(t, want[key], table.Get(key))
					}
				}
			}
		})
	}
}

func TestTableThatWasLargeIsSmallAgain(t *testing.T) {
	table := New(func(v *value) int { return v.key })
	require.Nil(t, table.Get(0))
	table.Delete(0)
	for key := range 10_000 {
		table.Put(&value{key: key})
	}
	require.Len(t, table.slots, 16_384)
	for key := range 10_000 {
		table.Delete(key)
	}
	require.Len(t, table.slots, fewest)
	require.Empty(t, slices.Collect(table.All()))
}

func TestAllEndsWhereItIsToldTo(t *testing.T) {
	table := New(func(v *value) int { return v.key })
	table.Put(&value{key: 1})
	table.Put(&value{key: 2})
	for range table.All() {
		return
	}
	t.Fatal("there is none")
}
