package kubetest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// insideVariable is set in the process that runs in the network namespace.
const insideVariable = "PODWAY_TEST_NETNS"

// PodNetworks are what Main makes local if nothing else is asked for: a network of Pods each for several clusters.
var PodNetworks = []string{"10.71.0.0/16", "10.72.0.0/16", "10.73.0.0/16", "10.74.0.0/16", "10.75.0.0/16", "10.76.0.0/16", "10.77.0.0/16", "10.78.0.0/16"}

// Main runs the tests in a network namespace of their own, in which every address of the IPv4 networks (PodNetworks without any) is this
// machine's, so that real servers can listen on Pods' addresses; 127.0.0.0/8 and ::1 are there too, and nothing else. All that the
// tests start is inside as well. Call it as all that TestMain does:
//
//	func TestMain(m *testing.M) { kubetest.Main(m) }
//
// It needs Linux, and either root or the right to make user namespaces; where the system does not allow it, the
// test binary fails and says why.
func Main(m *testing.M, networks ...string) {
	if len(networks) == 0 {
		networks = PodNetworks
	}
	run := runInside
	if os.Getenv(insideVariable) != "" {
		run = func() (int, error) {
			if err := bringUp(networks); err != nil {
				return 1, err
			}
			return m.Run(), nil
		}
	}
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL: tests that need a network namespace:", err)
		code = 1
	}
	os.Exit(code)
}

// runInside runs this test binary again, in a network namespace of its own, and returns how it exits.
func runInside() (int, error) {
	program, err := os.Executable()
	if err != nil {
		return 1, err
	}
	attributes, err := namespaceAttributes()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attributes
	// Where the system ties a child's life to its parent, it means the parent's thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// What is meant to end the tests must reach them. The channel is never closed: a last signal may still come.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("making one: %w; %s", err, namespaceRemedy)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // one that has ended needs none
			case <-ended:
				return
			}
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, fmt.Errorf("running the tests: %w", err)
	}
	return 0, nil
}

// bringUp makes the networks local.
func bringUp(networks []string) error {
	var prefixes []netip.Prefix
	for _, network := range networks {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return fmt.Errorf("%w: want an IPv4 network such as 10.77.0.0/16", err)
		}
		if !prefix.Addr().Is4() || prefix != prefix.Masked() || prefix.Addr().IsLoopback() {
			return fmt.Errorf("%s: want an IPv4 network such as 10.77.0.0/16, and none of 127.0.0.0/8", network)
		}
		prefixes = append(prefixes, prefix)
	}
	if err := loopbackUp(prefixes); err != nil {
		return fmt.Errorf("giving %s to the loopback device: %w", strings.Join(networks, ", "), err)
	}
	return nil
}
