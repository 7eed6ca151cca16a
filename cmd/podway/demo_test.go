package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/podway/podway/test/locked"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// demoPortForTest keeps off 8080, which other tests may want too, and off the ports that systems give to whoever does not mind which.
func demoPortForTest(t *testing.T) uint16 {
	t.Helper()
	for range 100 {
		port := uint16(10_000 + rand.IntN(20_000))
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			require.NoError(t, listener.Close())
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func TestDemoPlaysToTheEndAndCleansUp(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var out bytes.Buffer
	err := runDemo(t.Context(), demoConfig{Port: demoPortForTest(t)}, &out)
	t.Log(out.String())
	require.NoError(t, err)
	assert.Contains(t, out.String(), "none of ")
	assert.Equal(t, 7, strings.Count(out.String(), "CLUSTER "), "a table for each act")
	assert.Equal(t, 6, strings.Count(out.String(), "ms after the file was written."))
	entries, err := os.ReadDir(temporary)
	require.NoError(t, err)
	assert.Empty(t, entries, "nothing stays")
}

func TestDemoKeepsUpUntilItIsInterrupted(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	directory := filepath.Join(t.TempDir(), "demo")
	ctx, interrupt := context.WithCancelCause(t.Context())
	defer interrupt(nil)
	var out locked.Buffer
	var play sync.WaitGroup
	var ended atomic.Bool
	var err error
	play.Go(func() {
		defer ended.Store(true)
		err = runDemo(ctx, demoConfig{Port: demoPortForTest(t), Directory: directory, Keep: true}, &out)
	})
	up := func() bool { return strings.Contains(out.String(), "/stdout.log ") }
	for !up() && !ended.Load() { // it takes as long as it takes
		<-time.After(5 * time.Millisecond)
	}
	if !up() {
		play.Wait()
		t.Fatalf("the demo ended with %v:\n%s", err, out.String())
	}
	line := regexp.MustCompile(`curl (http://\S+/anything)`).FindStringSubmatch(out.String())
	require.NotNil(t, line, out.String())
	response, getErr := http.Get(line[1])
	require.NoError(t, getErr)
	response.Body.Close()
	assert.Equal(t, http.StatusOK, response.StatusCode)
	http.DefaultClient.CloseIdleConnections()
	interrupt(errors.New("interrupt signal received"))
	play.Wait()
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(directory, "config", "tunnel.yaml"), "the files are kept")
}

func TestDemoSaysWhatItNeeds(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "mine.yaml"), nil, 0o600))
	notEnvoy := filepath.Join(full, "false")
	require.NoError(t, os.WriteFile(notEnvoy, []byte("#!/bin/sh\necho I am no Envoy >&2\nexit 3\n"), 0o755))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()

	for name, test := range map[string]struct {
		ctx  context.Context
		cfg  demoConfig
		want string
	}{
		"a port in use":      {t.Context(), demoConfig{Port: uint16(taken.Addr().(*net.TCPAddr).Port)}, "address already in use; choose another one"},
		"a directory in use": {t.Context(), demoConfig{Directory: full}, "--directory " + full + " is not empty; choose a new one"},
		"no Envoy":           {t.Context(), demoConfig{Envoy: filepath.Join(full, "missing")}, "starting Envoy: "},
		"another program":    {t.Context(), demoConfig{Envoy: notEnvoy}, "I am no Envoy"},
		"an interrupt":       {canceled, demoConfig{}, "interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			err := runDemo(test.ctx, test.cfg, &locked.Buffer{})
			require.ErrorContains(t, err, test.want)
			entries, err := os.ReadDir(temporary)
			require.NoError(t, err)
			assert.Empty(t, entries, "nothing stays")
		})
	}
}
