package xds

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestEntriesAreFoundWhateverComesAndGoes(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		var is entries
		want := map[string]*entry{}
		most := []int{3, 20, 300, 3000}[seed%4]
		if seed%3 == 0 {
			is.expect(most)
		}
		for step := range 4 * most {
			name := fmt.Sprintf("name-%d", random.IntN(most))
			switch {
			case want[name] != nil && random.IntN(3) > step%4: // there are times of more and of less
				is.remove(name)
				delete(want, name)
			case want[name] == nil:
				want[name] = is.add(name)
				is.edit(want[name]).refuse(name)
			}
			require.Equal(t, len(want), is.len())
			require.Same(t, want[name], is.get(name))
		}
		require.Equal(t, want, maps.Collect(is.all()))
		for name, e := range is.all() {
			require.Equal(t, []string{name}, e.refused)
			is.remove(name)
		}
		require.Zero(t, is.len())
		require.Zero(t, noExtra)
		require.LessOrEqual(t, len(is.blocks), 1)
		require.Nil(t, is.index)
	}
}

func TestEntriesThatStayDoNotKeepTheRoomOfOthers(t *testing.T) {
	var is entries
	is.add("stays")
	for round := range 1000 {
		for n := range 100 {
			is.add(fmt.Sprint(round, n))
		}
		for n := range 100 {
			is.remove(fmt.Sprint(round, n))
		}
	}
	require.NotNil(t, is.get("stays"))
	require.LessOrEqual(t, is.slots, 500)
	require.LessOrEqual(t, len(is.blocks), 8)
	require.LessOrEqual(t, len(is.index), 500)
}

// A block fills what the runtime rounds its size up to, but for the 8 bytes that it puts before it.
func TestBlockOfEntriesFillsItsMemory(t *testing.T) {
	size := blockEntries * unsafe.Sizeof(entry{})
	require.LessOrEqual(t, size, uintptr(8<<10-8))
	require.Greater(t, size+unsafe.Sizeof(entry{}), uintptr(8<<10-8))
}

// What a name costs from when it is sent until it is acknowledged, with the item of the response.
func TestNameOnItsWayTakesLittle(t *testing.T) {
	const count = 10_000
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("tunnel/edge/service-%05d", i)
	}
	least := uint64(1 << 40)
	for range 10 { // goroutines of the tests before may allocate something meanwhile
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var is entries
		is.expect(count)
		for _, name := range names {
			is.add(name)
		}
		items := make([]item, count)
		runtime.ReadMemStats(&after)
		least = min(least, (after.TotalAlloc-before.TotalAlloc)/count)
		runtime.KeepAlive(items)
		runtime.KeepAlive(is)
	}
	require.LessOrEqual(t, least, uint64(100))
}
