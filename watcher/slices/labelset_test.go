package slices

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

func TestLabelSetIsItsLabels(t *testing.T) {
	seen := map[LabelSet]bool{}
	for _, labels := range []map[string]string{
		{}, {"": ""}, {"a": ""}, {"": "a"}, {"a": "b"}, {"a": "b", "c": "d"}, {"a": "bc", "d": ""}, {"ab": "c", "d": ""}, {"app.kubernetes.io/name": "hello", "é": "=,"},
	} {
		set := LabelSetOf(labels)
		require.Equal(t, labels, set.unpack())
		require.True(t, set == LabelSetOf(labels))
		require.False(t, seen[set], labels)
		require.NotEqual(t, NoLabels, set)
		seen[set] = true
	}
	require.Equal(t, NoLabels, LabelSetOf(nil))
}

func TestPodOfSeveralServicesTellsAllOfThem(t *testing.T) {
	services := []*entry{{name: types.NamespacedName{Name: "a"}}, {name: types.NamespacedName{Name: "b"}}, {name: types.NamespacedName{Name: "c"}}}
	var pod podLabels
	names := func() (names []string) {
		for user := range pod.users() {
			names = append(names, user.name.Name)
		}
		return names
	}
	for _, service := range services {
		require.True(t, pod.use(service))
		require.False(t, pod.use(service))
	}
	require.Equal(t, []string{"a", "b", "c"}, names())
	pod.leave(services[0])
	require.Equal(t, []string{"b", "c"}, names())
	pod.leave(services[2])
	pod.leave(services[2])
	require.Equal(t, []string{"b"}, names())
	pod.leave(services[1])
	require.Equal(t, podLabels{}, pod)
}
