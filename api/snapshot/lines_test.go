package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/snapshot"
)

func TestLineIsThatOfTheNearestParent(t *testing.T) {
	lines := snapshot.LinesOf(map[string]int{
		"spec": 12, "spec.services": 13, "spec.services[0]": 14, "spec.services[0].podWeight": 15, "spec.services[1]": 17, "spec.services[10]": 1017,
		"metadata.labels": 8, "metadata.labels[example.com/team]": 9, "specialty": 20, "kind": 3,
	}, 10)
	for field, want := range map[string]int{
		"spec.services[0].podWeight": 5, "spec.services[0].podWeight.more": 5, "spec.services[0].name": 4, "spec.services[1].name": 7, "spec.services[10].name": 1007,
		"spec.services[2]": 3, "spec.service": 2, "spec": 2, "specialty": 10, "spe": 0, "": 0, "status": 0, "kind": -7,
		"metadata.labels[example.com/team]": -1, "metadata.labels[example.com/other]": -2, "metadata": 0,
	} {
		require.Equal(t, want, lines.Of(field), field)
	}
	require.Zero(t, snapshot.Lines{}.Of("spec"))
	require.Equal(t, snapshot.Lines{}, snapshot.LinesOf(nil, 5))
}

func TestEveryFieldHasItsLine(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		fields := map[string]int{}
		for range random.IntN(50) {
			path := strings.Repeat("spec", random.IntN(100)) + "x"
			for range random.IntN(4) {
				path += [...]string{".a", ".ab", "[0]", "[1]", ".é"}[random.IntN(5)]
			}
			fields[path] = random.IntN(100_000)
		}
		from := random.IntN(1000)
		lines := snapshot.LinesOf(fields, from)
		for path, line := range fields {
			require.Equal(t, line, from+lines.Of(path), fmt.Sprint(fields))
		}
		require.True(t, lines == snapshot.LinesOf(fields, from), "the order of a map is nowhere in it")
	}
}
