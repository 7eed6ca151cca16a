package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/test/locked"
)

// queuedLog is a log whose lines are written to out, until the test ends.
func queuedLog(t *testing.T, out io.Writer) (*slog.Logger, *logQueue) {
	t.Helper()
	logger, queue := (&logFlags{format: "text"}).queued(out)
	go queue.run()
	t.Cleanup(func() {
		queue.close()
		<-queue.ended
	})
	return logger, queue
}

// TestWhoLogsDoesNotWaitForWhoReads has a pipe that nobody reads for a while.
func TestWhoLogsDoesNotWaitForWhoReads(t *testing.T) {
	out, in := io.Pipe()
	logger, queue := queuedLog(t, in)
	logger.Info("First")
	_, err := io.ReadFull(out, make([]byte, 1))
	require.NoError(t, err, "from here on, it is being written, and all else waits")
	const lines, length = 3000, 1000
	for i := range lines {
		logger.Info("A word", "i", i, "long", strings.Repeat("x", length))
	}
	require.Positive(t, queue.Lost())
	require.Less(t, queue.Lost(), uint64(lines))
	kept := lines - int(queue.Lost())
	require.LessOrEqual(t, len(queue.queued), maxQueuedLog)

	var read locked.Buffer
	go func() { _, _ = io.Copy(&read, out) }()
	told := fmt.Sprintf(`level=WARN msg="Lines of the log are lost" lines=%d remedy=`, queue.Lost())
	require.Eventually(t, func() bool { return strings.Contains(read.String(), told) }, time.Minute, time.Millisecond)
	logger.Info("Goes on")
	require.Eventually(t, func() bool { return strings.Contains(read.String(), "Goes on") }, time.Minute, time.Millisecond)
	require.Equal(t, kept, strings.Count(read.String(), "A word"))
	require.Equal(t, 1, strings.Count(read.String(), "are lost"))
	for i := range kept {
		require.Contains(t, read.String(), fmt.Sprintf("i=%d long=", i))
	}
}

// full fails while it is set, as a disk without room does.
type full struct {
	locked.Buffer
	atomic.Bool
}

func (f *full) Write(p []byte) (int, error) {
	if f.Load() {
		return 0, errors.New("no space left on device")
	}
	return f.Buffer.Write(p)
}

func TestLinesThatCannotBeWrittenAreTold(t *testing.T) {
	out := &full{}
	logger, queue := queuedLog(t, out)
	out.Store(true)
	for i := range 3 {
		logger.Info("A word")
		require.Eventually(t, func() bool { return queue.Lost() == uint64(i+1) }, time.Minute, time.Millisecond)
	}
	out.Store(false)
	logger.Info("Goes on")
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "are lost") }, time.Minute, time.Millisecond)
	require.NotContains(t, out.String(), "A word")
	require.Contains(t, out.String(), `msg="Goes on"`)
	require.Contains(t, out.String(), "lines=3 ")
}

func TestTheEndOfTheLogIsWritten(t *testing.T) {
	var out locked.Buffer
	logger, queue := (&logFlags{format: "json"}).queued(&out)
	for range 100 {
		logger.Info("A word")
	}
	go queue.run()
	queue.close()
	require.Equal(t, 100, strings.Count(out.String(), `"msg":"A word"}`))
}

// TestTheEndDoesNotWaitForWhoNeverReads has a reader that has hung.
func TestTheEndDoesNotWaitForWhoNeverReads(t *testing.T) {
	out, in := io.Pipe()
	logger, queue := (&logFlags{format: "text"}).queued(in)
	go queue.run()
	logger.Info("A word")
	queue.close() // the test's own time is the limit
	require.NoError(t, out.Close())
	<-queue.ended
}
