package files

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/snapshot"
)

// TestEditsMakeWhatReadingEverythingMakes changes files at random: one reader is told which, another looks at all of them and puts the picture
// together anew each time.
func TestEditsMakeWhatReadingEverythingMakes(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			dir := directory(t, map[string]string{"gateway.yaml": gatewayText, "sub/empty.yaml": ""})
			roots := [][]string{{dir}, {dir, filepath.Join(dir, "sub")}, {filepath.Join(dir, "sub"), dir}}[seed%3] // those in two belong to the first
			edited, whole := newReader(roots, Options{}, nil), newReader(roots, Options{}, nil)
			for _, r := range []*reader{edited, whole} {
				_, err := r.refresh(true, map[string]bool{})
				require.NoError(t, err)
			}
			for step := range 120 {
				what, paths := changeAtRandom(t, dir, random)
				forced := map[string]bool{}
				for _, path := range paths {
					edited.mark(path)
					forced[path] = true
				}
				told := maps.Clone(forced)
				refreshUntilStill(t, edited, false, forced)
				whole.base = nil
				refreshUntilStill(t, whole, true, maps.Clone(told)) // the clock of files is coarse: two versions may look the same
				samePicture(t, whole.state.Config, edited.state.Config, fmt.Sprintf("step %d: %s", step, what))
			}
		})
	}
}

// TestAnEditSharesAllElse changes a weight, and looks at what is still the same.
func TestAnEditSharesAllElse(t *testing.T) {
	dir := directory(t, map[string]string{"gateway.yaml": gatewayText, "a.yaml": tunnel("a", "10"), "b.yaml": tunnel("b", "10")})
	r := newReader([]string{dir}, Options{}, nil)
	refreshUntilStill(t, r, true, map[string]bool{})
	before := r.state.Config
	write(t, filepath.Join(dir, "a.yaml"), tunnel("a", "11"))
	r.mark(filepath.Join(dir, "a.yaml"))
	refreshUntilStill(t, r, false, map[string]bool{})
	after := r.state.Config
	require.NotSame(t, before, after)
	require.EqualValues(t, 11, *after.Tunnels[edge("a")].Spec.Services[0].PodWeight)
	require.Same(t, before.Tunnels[edge("b")], after.Tunnels[edge("b")])
	require.True(t, snapshot.SameMap(before.Gateways, after.Gateways) && snapshot.SameMap(before.Origins, after.Origins) &&
		snapshot.SameMap(before.Services, after.Services) && snapshot.SameMap(before.Synced, after.Synced))
	require.False(t, snapshot.SameMap(before.Tunnels, after.Tunnels), "a picture that was handed on is not changed")
	require.EqualValues(t, 10, *before.Tunnels[edge("a")].Spec.Services[0].PodWeight)
}

const gatewayText = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: edge}
spec: {gatewayClassName: podway, listeners: [{name: http, port: 80, protocol: HTTP}]}
`

// changeAtRandom changes files below a directory, and returns the paths of which a notification would come.
func changeAtRandom(t *testing.T, dir string, random *rand.Rand) (what string, paths []string) {
	names := []string{"a.yaml", "b.yaml", "c.yaml", "sub/a.yaml", "sub/d.yaml"}
	file := func() string { return filepath.Join(dir, names[random.IntN(len(names))]) }
	object := func() string {
		switch random.IntN(12) {
		case 0:
			return "kind: ["
		case 1:
			return strings.Replace(tunnel("a", "10"), "podWeight: 10", "podWeight: much", 1)
		case 2:
			return "apiVersion: podway.dev/v1alpha1\nkind: Tunnel\n"
		case 3:
			return "apiVersion: v1\nkind: Namespace\nmetadata: {name: n" + fmt.Sprint(random.IntN(2)) + "}\n"
		case 4:
			return fmt.Sprintf("apiVersion: podway.dev/v1alpha1\nkind: MemberCluster\nmetadata: {name: m%d}\nspec: {source: {type: Objects, objects: {directory: sub}}}\n", random.IntN(2))
		case 5:
			return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"
		}
		return tunnel(string(rune('a'+random.IntN(6))), fmt.Sprint(random.IntN(3)))
	}
	path := file()
	switch random.IntN(6) {
	case 0:
		_ = os.Remove(path)
		return "remove " + path, []string{path}
	case 1:
		to := file()
		_ = os.Rename(path, to)
		return "rename " + path + " to " + to, []string{path, to}
	case 2:
		text, err := os.ReadFile(path)
		if err == nil {
			write(t, path, string(text))
		}
		return "touch " + path, []string{path}
	case 3:
		text, _ := os.ReadFile(path)
		write(t, path, "# a line\n"+string(text))
		return "shift " + path, []string{path}
	}
	var parts []string
	for range 1 + random.IntN(3) {
		parts = append(parts, object())
	}
	write(t, path, strings.Join(parts, "---\n"))
	return "write " + path, []string{path}
}

// refreshUntilStill refreshes until there is nothing to look at again.
func refreshUntilStill(t *testing.T, r *reader, all bool, forced map[string]bool) {
	t.Helper()
	for range 1000 {
		_, err := r.refresh(all, forced)
		require.NoError(t, err)
		if r.retry == 0 || r.retry >= frozenRetry {
			return
		}
		<-time.After(r.retry)
		all, forced = false, map[string]bool{}
	}
	require.FailNow(t, "it is never still")
}

// samePicture compares two pictures but for when they were taken.
func samePicture(t *testing.T, want, got *snapshot.Config, what string) {
	t.Helper()
	w, g := *want, *got
	w.Now, g.Now = time.Time{}, time.Time{}
	require.Equal(t, w.Problems, g.Problems, what)
	require.Equal(t, w, g, what)
}
