package pods_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
)

func TestUIDIsItsText(t *testing.T) {
	for _, text := range []string{"", "7b1f3c52-9f0e-4d7c-8a43-c0ffee000001", "ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000001"} {
		require.Equal(t, text, pods.UIDOf(text).String())
	}
	require.Equal(t, pods.UID{0x7b, 0x1f, 0x3c, 0x52, 0x9f, 0x0e, 0x4d, 0x7c, 0x8a, 0x43, 0xc0, 0xff, 0xee, 0, 0, 1}, pods.UIDOf("7b1f3c52-9f0e-4d7c-8a43-c0ffee000001"))
}

func TestTextThatIsNoUUIDHasOneOfItsOwn(t *testing.T) {
	const text = "7b1f3c52-9f0e-4d7c-8a43-c0ffee000001"
	seen := map[pods.UID]string{pods.UIDOf(text): text}
	for _, other := range []string{
		strings.ToUpper(text), text + " ", text[1:], strings.ReplaceAll(text, "-", ""), text[:35] + "g", "7b1f3c5-29f0e-4d7c-8a43-c0ffee0000001",
		"7b1f3c52-9f0e-4d7c-8a43--0ffee000001", "not a UUID", " ", strings.Repeat("\xff", 36),
	} {
		uid := pods.UIDOf(other)
		require.Empty(t, seen[uid], other)
		require.Equal(t, uid, pods.UIDOf(other))
		require.Equal(t, uid, pods.UIDOf(uid.String()), "what is remembered as text comes back")
		require.Equal(t, byte('8'), uid.String()[14], "the version: no UUID that an API server makes")
		seen[uid] = other
	}
}

func TestUIDsAreInTheOrderOfTheirTexts(t *testing.T) {
	texts := []string{"", "00000000-0000-4000-8000-000000000001", "0fffffff-0000-4000-8000-000000000000", "a0000000-0000-4000-8000-000000000000"}
	for i, a := range texts {
		for j, b := range texts {
			require.Equal(t, strings.Compare(a, b), pods.UIDOf(a).Compare(pods.UIDOf(b)), "%d %d", i, j)
		}
	}
}
