//go:build clusters

package clusters

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// podway builds the program once, from what is here now, and returns its path.
var podway = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "podway")
	// There is no network in here: `make test-clusters` has fetched what is needed.
	args := append([]string{"build", "-o", path}, strings.Fields(os.Getenv("PODWAY_BUILDFLAGS"))...)
	cmd := exec.Command("go", append(args, "./cmd/podway")...)
	cmd.Dir = root
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building podway: %w\n%s", err, said)
	}
	return path, nil
})

// plane is podway serve.
type plane struct {
	w          *world
	cmd        *exec.Cmd
	ended      chan struct{}
	xds, admin string

	mu  sync.Mutex
	log strings.Builder // by mu
}

var readyLine = regexp.MustCompile(`msg=Ready xds=(\S+) admin=(\S+)`)

// startPlane runs podway serve and waits until it is ready: at the addresses of the one before, where there was one.
func (w *world) startPlane(flags ...string) {
	w.Helper()
	path, err := podway()
	require.NoError(w, err)
	anywhere := netip.AddrPortFrom(ownAddress(), 0).String()
	xds, admin := anywhere, anywhere
	if w.plane != nil {
		xds, admin = w.plane.xds, w.plane.admin
	}
	p := &plane{w: w, ended: make(chan struct{})}
	p.cmd = exec.Command(path, append([]string{"serve", "--config", w.directory, "--xds-address", xds, "--admin-address", admin}, flags...)...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := p.cmd.StderrPipe()
	require.NoError(w, err)
	require.NoError(w, p.cmd.Start())
	w.whole.Cleanup(func() {
		if !p.hasEnded() {
			p.requireDiscreet()
			p.stop()
		}
		w.requireDiscreet("podway's log", p.said())
		assert.NotContains(w, p.said(), "DATA RACE")
		assert.NotContains(w, p.said(), "panic")
		if w.Failed() {
			w.Logf("podway's log:\n%s", p.said())
		}
	})
	ready := make(chan []string, 1)
	go p.read(stderr, ready)
	select {
	case addresses := <-ready:
		p.xds, p.admin = addresses[1], addresses[2]
	case <-p.ended:
		w.Fatalf("podway serve ended:\n%s", p.said())
	case <-time.After(patience):
		w.Fatalf("podway serve is not ready after %s:\n%s", patience, p.said())
	}
	w.plane = p
}

func (p *plane) read(stderr io.Reader, ready chan<- []string) {
	defer close(p.ended)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		if match := readyLine.FindStringSubmatch(lines.Text()); match != nil {
			ready <- match
		}
	}
	_ = p.cmd.Wait() // how it ends is for whoever ended it
}

// said is the log so far.
func (p *plane) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *plane) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// kill ends podway as a crash does.
func (p *plane) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}

// stop ends podway as a person does.
func (p *plane) stop() {
	p.w.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.w.Errorf("stopping podway: %v", err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.kill()
		p.w.Errorf("podway did not end within %s of SIGTERM", patience)
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.w.Errorf("podway ended with status %d", code)
	}
}

// requireDiscreet looks through all that the admin interface tells.
func (p *plane) requireDiscreet() {
	for _, path := range []string{"/clusters", "/problems", "/metrics", "/readyz"} {
		if body, err := p.ask(http.MethodGet, path); assert.NoError(p.w, err) {
			p.w.requireDiscreet(path, body)
		}
	}
}

// ask asks the admin interface; an answer that is no success is an error.
func (p *plane) ask(method, path string) (string, error) {
	request, err := http.NewRequest(method, "http://"+p.admin+path, http.NoBody)
	if err != nil {
		return "", err
	}
	request.Close = true
	client := &http.Client{Timeout: 10 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, body)
	}
	return string(body), err
}

// tell reads what the admin interface tells as JSON.
func (p *plane) tell(path string, into any) error {
	body, err := p.ask(http.MethodGet, path)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(body), into)
}
