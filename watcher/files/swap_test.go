package files

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestConfigMapsAreReadWhole swaps one again and again, as kubelet does and faster. Each State holds one version of it, whichever: of all its files, also
// where objects move from one to another and files come and go.
func TestConfigMapsAreReadWhole(t *testing.T) {
	const swaps = 400
	dir := t.TempDir()
	data := filepath.Join(dir, "..data")
	before := map[string]string{}
	// swap brings in a version, as kubelet's AtomicWriter does: the link first, then the names, then what is left.
	swap := func(number int, files map[string]string) {
		version := filepath.Join(dir, fmt.Sprint("..", number))
		require.NoError(t, os.Mkdir(version, 0o755))
		for name, text := range files {
			write(t, filepath.Join(version, name), text)
		}
		old, _ := os.Readlink(data) // there is none at first
		require.NoError(t, os.Symlink(filepath.Base(version), data+"_tmp"))
		require.NoError(t, os.Rename(data+"_tmp", data))
		for name := range files {
			if _, had := before[name]; !had {
				require.NoError(t, os.Symlink("..data/"+name, filepath.Join(dir, name)))
			}
		}
		for name := range before {
			if _, has := files[name]; !has {
				require.NoError(t, os.Remove(filepath.Join(dir, name)))
			}
		}
		if old != "" {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, old)))
		}
		before = files
	}
	version := func(number int) map[string]string {
		weight := fmt.Sprint(1 + number%100)
		files := map[string]string{"a.yaml": tunnel("a", weight), "c.yaml": tunnel("c", weight)}
		if number%2 == 0 {
			files["b.yaml"] = tunnel("b", weight)
		} else {
			files["a.yaml"] += "---\n" + tunnel("b", weight)
		}
		return files
	}
	swap(0, version(0))
	f := follow(t, dir)
	var last atomic.Bool
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for number := 1; number <= swaps && !t.Failed(); number++ {
			last.Store(number == swaps)
			swap(number, version(number))
			<-time.After(time.Millisecond)
		}
	})
	defer swapping.Wait()
	f.until(func(s State) bool {
		weight := weightOf(s, "a")
		require.Equal(t, []int32{weight, weight}, []int32{weightOf(s, "b"), weightOf(s, "c")}, "the tunnels b and c are of the version of a")
		require.Empty(t, s.Config.Problems)
		return weight == 1+swaps%100 && last.Load() && len(f.states) == 0
	})
}
