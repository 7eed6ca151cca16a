package pods_test

import (
	"cmp"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
)

// named makes Pods of one Group with these names.
func named(names ...string) []pods.Pod {
	made, group := make([]pods.Pod, len(names)), &pods.Group{Namespace: "default"}
	for i := range made {
		made[i].Group = group
	}
	pods.GiveNames(made, names)
	return made
}

func TestPodHasTheNameThatItWasGiven(t *testing.T) {
	longest := strings.Repeat("x", pods.MaxName)
	for _, names := range [][]string{
		{},
		{""},
		{"a"},
		{"a", "a"},
		{"a", "b"},
		{"ab", "a", "", "abc"},
		{"", "web-5d8f7c9b4-2x8kp", "web-5d8f7c9b4-9w2zq"},
		{"é", "è", "\xff"},
		{longest, longest},
		{longest, "x" + longest[:100], ""},
	} {
		for i, pod := range named(names...) {
			require.Equal(t, names[i], pod.Name())
			require.Equal(t, "of "+names[i], string(pod.AppendName([]byte("of "))))
			require.Equal(t, names[i] != "", pod.HasName())
		}
	}
}

func TestNameThatNoPodCanHaveIsNone(t *testing.T) {
	made := named("web-1", strings.Repeat("x", pods.MaxName+1), "web-2")
	require.Equal(t, []string{"web-1", "", "web-2"}, []string{made[0].Name(), made[1].Name(), made[2].Name()})
}

func TestNamesAreInTheOrderOfTheirTexts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	texts := []string{""}
	for range 200 {
		text := []string{"", "web-", "web-5d8f7c9b4-"}[random.IntN(3)]
		for range random.IntN(4) {
			text += string(rune('a' + random.IntN(2)))
		}
		texts = append(texts, text)
	}
	var all []pods.Pod // whose names begin in different ways
	for i := 0; i < len(texts); i += 3 {
		all = append(all, named(texts[i:min(i+3, len(texts))]...)...)
	}
	for i, a := range texts {
		for j, b := range texts {
			want := strings.Compare(a, b)
			require.Equal(t, want, cmp.Compare(all[i].CompareName(&all[j]), 0), "%q %q", a, b)
			require.Equal(t, want, cmp.Compare(all[i].CompareNameTo(b), 0), "%q %q", a, b)
		}
	}
}

func TestPodIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(pods.Pod{}), uintptr(56))
	made := named("web-5d8f7c9b4-2x8kp", "web-5d8f7c9b4-9w2zq")
	require.Zero(t, testing.AllocsPerRun(10, func() { made[0].CompareName(&made[1]) }))
}
