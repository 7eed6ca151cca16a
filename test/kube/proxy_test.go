package kubetest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit is more than anything here takes; brief is how long a test looks whether something happens that must not.
const (
	limit = 20 * time.Second
	brief = 50 * time.Millisecond
)

// echo is a server that says back what it hears.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_, _ = io.Copy(connection, connection) // it ends with the client
			}()
		}
	}()
	return listener.Addr().String()
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	connection, err := net.Dial("tcp", p.Address())
	require.NoError(t, err)
	t.Cleanup(func() { connection.Close() })
	return connection
}

func say(t *testing.T, connection net.Conn, text string) {
	t.Helper()
	_, err := connection.Write([]byte(text + "\n"))
	require.NoError(t, err)
}

func hear(t *testing.T, connection net.Conn, within time.Duration) (string, error) {
	t.Helper()
	require.NoError(t, connection.SetReadDeadline(time.Now().Add(within)))
	return bufio.NewReader(connection).ReadString('\n')
}

func requireEcho(t *testing.T, connection net.Conn, text string) {
	t.Helper()
	say(t, connection, text)
	heard, err := hear(t, connection, limit)
	require.NoError(t, err)
	require.Equal(t, text+"\n", heard)
}

func TestBlackholeForwardsNothingAndLosesNothing(t *testing.T) {
	p := NewProxy(t, echo(t))
	before := dial(t, p)
	requireEcho(t, before, "one")

	p.Blackhole()
	during := dial(t, p)
	for _, connection := range []net.Conn{before, during} {
		say(t, connection, "two")
		_, err := hear(t, connection, brief)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}

	p.Pass()
	for _, connection := range []net.Conn{before, during} {
		heard, err := hear(t, connection, limit)
		require.NoError(t, err)
		require.Equal(t, "two\n", heard)
	}
}

func TestCutResetsConnectionsInABlackholeToo(t *testing.T) {
	for name, prepare := range map[string]func(*Proxy){"passing": func(*Proxy) {}, "blackhole": (*Proxy).Blackhole} {
		t.Run(name, func(t *testing.T) {
			p := NewProxy(t, echo(t))
			connection := dial(t, p)
			requireEcho(t, connection, "one")
			prepare(p)
			p.Cut()
			_, err := hear(t, connection, limit)
			require.ErrorIs(t, err, syscall.ECONNRESET)
			p.Pass()
			requireEcho(t, dial(t, p), "two")
			require.Equal(t, 2, p.Accepted())
		})
	}
}

func TestRefusedUntilAccepted(t *testing.T) {
	p := NewProxy(t, echo(t))
	connection := dial(t, p)
	requireEcho(t, connection, "one")
	p.Refuse()
	_, err := hear(t, connection, limit)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = net.Dial("tcp", p.Address())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	p.Accept()
	requireEcho(t, dial(t, p), "two")
}

func TestDelayIsAddedInEachDirectionAndKeepsTheOrder(t *testing.T) {
	p := NewProxy(t, echo(t))
	connection := dial(t, p)
	requireEcho(t, connection, "one")
	p.Delay(30 * time.Millisecond)
	start := time.Now()
	requireEcho(t, connection, "two")
	require.GreaterOrEqual(t, time.Since(start), 60*time.Millisecond)
	p.Delay(0)
	for range 100 {
		requireEcho(t, connection, "three")
	}
}

func TestEndIsCarriedAsAnEnd(t *testing.T) {
	p := NewProxy(t, echo(t))
	connection := dial(t, p)
	say(t, connection, "last")
	require.NoError(t, connection.(*net.TCPConn).CloseWrite())
	all, err := io.ReadAll(connection)
	require.NoError(t, err)
	require.Equal(t, "last\n", string(all))
	require.Eventually(t, func() bool { return p.Open() == 0 }, limit, time.Millisecond)
}

func TestNobodyGetsAReservedPort(t *testing.T) {
	kept, err := reservePort()
	require.NoError(t, err)
	defer func() { require.NoError(t, kept.close()) }()
	_, err = net.Listen("tcp", kept.address())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	_, err = net.Dial("tcp", kept.address())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	for range 2 {
		listener, err := (&net.ListenConfig{Control: sharePort}).Listen(t.Context(), "tcp", kept.address())
		require.NoError(t, err)
		require.NoError(t, listener.Close())
	}
}

func TestAProgramThatEndsSaysWhy(t *testing.T) {
	p, err := startProcess("sh", t.TempDir()+"/log", "/bin/sh", "-c", "echo it has rained; exit 3")
	require.NoError(t, err)
	<-p.done
	require.EqualError(t, p.crashed(), "sh ended with exit status 3:\n  it has rained")
	require.NoError(t, errors.Join(p.stop(), p.kill()))

	p, err = startProcess("sleep", t.TempDir()+"/log", "/bin/sleep", "60")
	require.NoError(t, err)
	require.NoError(t, errors.Join(p.signal(syscall.SIGSTOP), p.stop()))
	require.NoError(t, p.crashed())
}

func TestLeadIsForNewConnections(t *testing.T) {
	p := NewProxy(t, echo(t))
	before := dial(t, p)
	requireEcho(t, before, "one")
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	p.Lead(gone.Addr().String())
	requireEcho(t, before, "two")
	after, err := net.Dial("tcp", p.Address())
	if err == nil { // it may be reset as soon as that
		defer after.Close()
		_, err = hear(t, after, limit)
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestLimitIsOfAllConnectionsTogether(t *testing.T) {
	p := NewProxy(t, echo(t))
	p.Limit(100_000)
	text := strings.Repeat("x", 20_000)
	begun := time.Now()
	one, two := dial(t, p), dial(t, p)
	say(t, one, text)
	say(t, two, text)
	for _, connection := range []net.Conn{one, two} {
		heard, err := hear(t, connection, limit)
		require.NoError(t, err)
		require.Equal(t, text+"\n", heard)
	}
	require.Greater(t, time.Since(begun), 300*time.Millisecond)
}
