package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestServeGoesOnWithoutItsLog has the reader of the log go, as a collector that has crashed, and a hangup come, as a service manager sends one to have
// others reload.
func TestServeGoesOnWithoutItsLog(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	directory := t.TempDir()
	require.NoError(t, os.CopyFS(directory, os.DirFS("testdata/base")))
	log, stderr, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Args = []string{"podway", "serve", "--config", directory, "--xds-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0", "--log-format", "json"}
	cmd.Stderr = stderr
	require.NoError(t, cmd.Start())
	require.NoError(t, stderr.Close())
	var line struct{ Msg, Admin string }
	said := bufio.NewScanner(log)
	until := func(msg string) {
		t.Helper()
		for said.Scan() {
			require.NoError(t, json.Unmarshal(said.Bytes(), &line))
			if line.Msg == msg {
				return
			}
		}
		t.Fatalf("the log ended before %q", msg)
	}
	until("Ready")
	admin := "http://" + line.Admin
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	until("Asked to reload: nothing to do, for every change of a file is followed by itself")
	require.NoError(t, log.Close())

	get := func(path string) string {
		resp, err := http.Get(admin + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(body)
	}
	bad := filepath.Join(directory, "bad.yaml")
	for range 3 { // each tells of a Problem that comes and goes
		require.NoError(t, os.WriteFile(bad, []byte("what: ["), 0o600))
		eventually(t, "the Problem", func() bool { return strings.Contains(get("/problems"), "bad.yaml") })
		require.NoError(t, os.Remove(bad))
		eventually(t, "the end of the Problem", func() bool { return get("/problems") == "[]\n" })
	}
	require.NotContains(t, get("/metrics"), "podway_log_lost_lines_total 0\n")
	require.Contains(t, get("/metrics"), "podway_log_lost_lines_total ")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait())
}
