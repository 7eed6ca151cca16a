package controlplane

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATornMemoryIsAWarningAndAStartWithoutIt(t *testing.T) {
	directory := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(directory, "pods"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(directory, "pods", ".holdbacks"), []byte("podway-holdbacks 1 "), 0o600))
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	remember, err := openMemory(Config{State: directory, Logger: log})
	require.NoError(t, err)
	defer remember.close(log)
	board := newProblemBoard(log)
	p := pipelineTo(&recorder{}, board, log)
	remember.restore(p.brake, p.back, log)
	require.Contains(t, text.String(), `level=WARN msg="What Envoys rejected before the restart is tried again" error="the holdbacks that were remembered are not used: `+
		filepath.Join(directory, "pods", ".holdbacks")+`: is torn`)
}
