package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
)

// stopGrace is how long an Envoy may take to end by itself before it is killed.
const stopGrace = 5 * time.Second

// StartConfig says how to run an Envoy.
type StartConfig struct {
	// Path is the binary; what Find returns if empty.
	Path string
	// Bootstrap is the configuration. Its admin address may have port 0.
	Bootstrap *bootstrapv3.Bootstrap
	// Directory takes envoy.yaml, envoy.log (what Envoy says of itself) and stdout.log (access logs). It is made where it is missing. If empty, a
	// temporary folder is used, and removed when the process has ended.
	Directory string
	// Stdout and Stderr, where set, receive what would go to the two logs. Neither may block.
	Stdout, Stderr io.Writer
	// Concurrency is the number of worker threads; Envoy's own default, one for each hardware thread, if 0.
	Concurrency int
	// LogLevel is trace, debug, info, warning, error, critical or off; info if empty.
	LogLevel string
	// ExtraArgs are handed to Envoy after all others.
	ExtraArgs []string
}

// Process is a running Envoy.
type Process struct {
	admin   *Admin
	process *os.Process
	tail    *tail
	kill    context.CancelFunc
	// done is closed once the process has ended and been waited for; err is set before.
	done chan struct{}
	err  error
}

// Start runs an Envoy and returns once its admin interface is up, which is
// before it is ready for traffic: see WaitReady. The process is killed when ctx
// ends. The error of an Envoy that refuses its configuration ends with what it said about it.
func Start(ctx context.Context, cfg StartConfig) (*Process, error) {
	if cfg.Path == "" {
		path, err := Find()
		if err != nil {
			return nil, err
		}
		cfg.Path = path
	}
	directory, remove, err := ensureDirectory(cfg.Directory)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, cfg, directory, remove)
	if err != nil {
		remove()
		return nil, err
	}
	address, err := p.adminAddress(ctx, filepath.Join(directory, "admin-address"))
	if err != nil {
		p.kill()
		<-p.done
		return nil, err
	}
	p.admin = NewAdmin(address)
	return p, nil
}

func start(ctx context.Context, cfg StartConfig, directory string, cleanup func()) (*Process, error) {
	config, err := MarshalYAML(cfg.Bootstrap)
	if err != nil {
		return nil, err
	}
	configPath, addressPath := filepath.Join(directory, "envoy.yaml"), filepath.Join(directory, "admin-address")
	// The configuration may hold keys.
	if err := os.WriteFile(configPath, config, 0o600); err != nil {
		return nil, fmt.Errorf("writing Envoy's configuration: %w", err)
	}
	// One of an earlier process would be taken for this one's.
	if err := os.Remove(addressPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing an old admin address: %w", err)
	}
	stdout, stderr, closeLogs, err := openLogs(cfg, directory)
	if err != nil {
		return nil, err
	}

	ctx, kill := context.WithCancel(ctx)
	p := &Process{tail: &tail{}, kill: kill, done: make(chan struct{})}
	cmd := exec.CommandContext(ctx, cfg.Path, arguments(cfg, configPath, addressPath)...)
	cmd.Stdout = stdout
	cmd.Stderr = io.MultiWriter(p.tail, stderr)
	cmd.WaitDelay = stopGrace
	cmd.SysProcAttr = processAttributes()

	started := make(chan error, 1)
	go func() {
		defer kill()
		// Where the system ties a child's life to its parent, it means the parent's thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.process = cmd.Process
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			cleanup()
		}
		closeLogs()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting Envoy: %w", err)
	}
	return p, nil
}

func arguments(cfg StartConfig, configPath, addressPath string) []string {
	level := cfg.LogLevel
	if level == "" {
		level = "info"
	}
	args := []string{
		"--config-path", configPath,
		"--admin-address-path", addressPath,
		"--log-level", level,
		// Several Envoys on one host would otherwise meet in shared memory.
		"--disable-hot-restart",
	}
	if cfg.Concurrency > 0 {
		args = append(args, "--concurrency", strconv.Itoa(cfg.Concurrency))
	}
	return append(args, cfg.ExtraArgs...)
}

// adminAddress waits for the file in which Envoy says where its admin interface listens.
func (p *Process) adminAddress(ctx context.Context, path string) (string, error) {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for Envoy to start: %w%s", context.Cause(ctx), p.tail.lines())
		case <-p.done:
			return "", p.exited()
		case <-poll.C:
		}
		content, err := os.ReadFile(path)
		if err != nil {
			continue // not there yet; an Envoy that cannot write it ends
		}
		if address, err := netip.ParseAddrPort(strings.TrimSpace(string(content))); err == nil && address.Port() != 0 {
			return address.String(), nil
		}
	}
}

// exited tells of a process that has ended. Call it only after done.
func (p *Process) exited() error {
	how := "with status 0"
	if p.err != nil {
		how = "with " + p.err.Error()
	}
	return fmt.Errorf("envoy ended %s%s", how, p.tail.lines())
}

// Admin is the client of its admin interface.
func (p *Process) Admin() *Admin { return p.admin }

// PID is the id of the process.
func (p *Process) PID() int { return p.process.Pid }

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// WaitReady blocks until the Envoy has had its first configuration and takes
// traffic. It fails when ctx ends, and when the Envoy does.
func (p *Process) WaitReady(ctx context.Context) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	var last error
	for {
		err := p.admin.Ready(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil { // what a call that was cut short has to say is no news
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for Envoy to be ready: %w; %w%s", context.Cause(ctx), last, p.tail.lines())
		case <-p.done:
			return p.exited()
		case <-poll.C:
		}
	}
}

// Stop ends the Envoy and waits for that: at once where it can, by force
// after 5 s. Open connections are closed; to finish requests first, see
// Admin.Drain. A process that has already ended is no error.
func (p *Process) Stop() error {
	defer p.kill()
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping Envoy: %w", err)
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.done:
		return nil
	case <-grace.C:
	}
	p.kill()
	<-p.done
	return nil
}

// Kill ends the Envoy without a chance to clean up, as a crash does, and waits for that.
func (p *Process) Kill() {
	p.kill()
	<-p.done
}
