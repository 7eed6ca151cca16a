package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDemoPlaysToTheEndAndCleansUp(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var out bytes.Buffer
	err := runDemo(t.Context(), demoConfig{}, &out)
	t.Log(out.String())
	require.NoError(t, err)
	assert.Contains(t, out.String(), "none of ")
	assert.Equal(t, 7, strings.Count(out.String(), "CLUSTER "), "a table for each act")
	entries, err := os.ReadDir(temporary)
	require.NoError(t, err)
	assert.Empty(t, entries, "nothing stays")
}
