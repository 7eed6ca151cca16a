package watcher

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/bench/watcher/fakeapi"
	"github.com/podway/podway/bench/watcher/scene"
)

// asChild is set in a process of the benchmarks' own: what it is to be, and what it needs to know, as JSON.
const asChild = "PODWAY_BENCH_WATCHER"

// role is what a child is.
type role struct {
	Name      string     `json:"name"` // fakeapi or informers
	Size      scene.Size `json:"size"`
	Addresses []string   `json:"addresses,omitempty"`
	CA        []byte     `json:"ca,omitempty"`
	// Pods has informers follow the metadata of Pods too, WholePods the Pods as they are.
	Pods      bool `json:"pods,omitempty"`
	WholePods bool `json:"wholePods,omitempty"`
}

// serving is what a child says once it is ready.
type serving struct {
	Addresses []string `json:"addresses,omitempty"`
	CA        []byte   `json:"ca,omitempty"`
	Control   string   `json:"control,omitempty"`
}

// TestChild is the other processes. They end when their standard input does.
func TestChild(t *testing.T) {
	text := os.Getenv(asChild)
	if text == "" {
		return
	}
	var as role
	require.NoError(t, json.Unmarshal([]byte(text), &as))
	var ready serving
	switch as.Name {
	case "fakeapi":
		fleet, err := fakeapi.New(as.Size)
		require.NoError(t, err)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go func() { _ = http.Serve(listener, fleet.Control()) }() // until the process ends
		ready = serving{Addresses: fleet.Addresses(), CA: fleet.CA, Control: "http://" + listener.Addr().String()}
	case "informers":
		keep := clusterInformers(t, as)
		defer keep()
	}
	line, err := json.Marshal(ready)
	require.NoError(t, err)
	fmt.Fprintln(os.Stdout, "ready "+string(line))
	_, _ = io.Copy(io.Discard, os.Stdin) // it ends with the parent
}

// process is one that runs beside the benchmark.
type process struct {
	*exec.Cmd
	serving
}

// start runs a child until the benchmark ends, or stop is called.
func start(tb testing.TB, as role) *process {
	tb.Helper()
	text, err := json.Marshal(as)
	require.NoError(tb, err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), asChild+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(tb, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	p := &process{Cmd: cmd}
	tb.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait() // killed or not, it is over
	})
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			require.NoError(tb, json.Unmarshal([]byte(line), &p.serving))
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return p
		}
	}
	tb.Fatalf("the process %s has ended before it was ready", as.Name)
	return nil
}

// post has the fake API servers do something, and reads the answer into what into points to; nil for none.
func (p *process) post(tb testing.TB, query string, into any) {
	tb.Helper()
	response, err := http.Post(p.Control+query, "", nil)
	require.NoError(tb, err)
	defer response.Body.Close()
	require.Equal(tb, http.StatusOK, response.StatusCode)
	if into != nil {
		require.NoError(tb, json.NewDecoder(response.Body).Decode(into))
	}
}

// kubeconfig of one of the fake API servers.
func (p *process) kubeconfig(cluster int) []byte {
	return fakeapi.Kubeconfig(p.Addresses[cluster], p.CA)
}

func number(n int) string { return strconv.Itoa(n) }

const mebibyte = 1 << 20

// memory is what a process takes, in MB: now, and at most so far.
func (p *process) memory(tb testing.TB) (now, peak float64) {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	require.NoError(tb, err)
	read := func(name string) float64 {
		_, rest, _ := strings.Cut(string(status), name+":")
		fields := strings.Fields(rest)
		require.NotEmpty(tb, fields)
		kibibytes, err := strconv.ParseFloat(fields[0], 64)
		require.NoError(tb, err)
		return kibibytes * 1024 / mebibyte
	}
	return read("VmRSS"), read("VmHWM")
}

// cpu is how long a process has worked.
func (p *process) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	require.NoError(tb, err)
	fields := strings.Fields(string(stat)[strings.LastIndexByte(string(stat), ')')+2:])
	user, err := strconv.Atoi(fields[11])
	require.NoError(tb, err)
	system, err := strconv.Atoi(fields[12])
	require.NoError(tb, err)
	return time.Duration(user+system) * 10 * time.Millisecond // the kernel counts in hundredths of a second
}
