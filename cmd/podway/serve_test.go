package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/podway/podway/api"
	"github.com/podway/podway/cmd/podway/controlplane"
	"github.com/podway/podway/test/locked"
)

// runningServe is a control plane on ports of the kernel's choice.
type runningServe struct {
	*testing.T
	directory, xds, admin string
	log                   *locked.Buffer
	end                   context.CancelFunc
	ended                 chan error
}

func startServe(t *testing.T, prepare func(directory string)) *runningServe {
	t.Helper()
	s := &runningServe{T: t, directory: t.TempDir(), log: &locked.Buffer{}, ended: make(chan error, 1)}
	if err := os.CopyFS(s.directory, os.DirFS("testdata/base")); err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(s.directory)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.end = cancel
	ready := make(chan struct{})
	go func() {
		s.ended <- serve(ctx, serveConfig{Config: controlplane.Config{
			Directory: s.directory, XDSAddress: "127.0.0.1:0", AdminAddress: "127.0.0.1:0",
			Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			OnReady: func(xds, admin string) {
				s.xds, s.admin = xds, admin
				close(ready)
			},
		}})
	}()
	select {
	case <-ready:
	case err := <-s.ended:
		t.Fatalf("serve ended with %v", err)
	case <-time.After(2 * time.Minute):
		t.Fatal("not ready after 2 minutes")
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	return s
}

// stop ends serve and returns its error.
func (s *runningServe) stop() error {
	s.end()
	select {
	case err := <-s.ended:
		s.ended <- err
		return err
	case <-time.After(2 * time.Minute):
		s.Error("serve did not end within 2 minutes")
		return nil
	}
}

func (s *runningServe) get(path string) (int, string) {
	s.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Get("http://" + s.admin + path)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s did not happen within 2 minutes", what)
		}
	}
}

func TestServeIsReadyTellsProblemsAndFollowsTheFiles(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := startServe(t, nil)
	for path, want := range map[string]string{
		"/healthz":  "ok\n",
		"/readyz":   "ready: 1 Gateways, 2 tunnels, 4 endpoints\n",
		"/problems": "[]\n",
		"/envoys":   "[]\n",
		"/metrics":  "podway_ready 1\n",
	} {
		if status, body := s.get(path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s", path, status, body, want)
		}
	}
	if status, _ := s.get("/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("/debug/pprof/ without --pprof: %d", status)
	}

	bad := filepath.Join(s.directory, "bad.yaml")
	if err := os.WriteFile(bad, []byte("apiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: bad, namespace: edge}\nspec: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var problems []api.Problem
	eventually(t, "the problem", func() bool {
		_, body := s.get("/problems")
		if err := json.Unmarshal([]byte(body), &problems); err != nil {
			t.Fatal(err)
		}
		return len(problems) > 0
	})
	if got := problems[0]; got.Object.Name != "bad" || !strings.HasSuffix(got.File, "bad.yaml") {
		t.Errorf("problem: %v", got)
	}
	if _, body := s.get("/metrics"); !strings.Contains(body, `podway_problems{code="`+problems[0].Code+`",severity="Error"} 1`) {
		t.Errorf("metrics do not count the problem %v", problems[0])
	}
	var out strings.Builder
	if code := run(t.Context(), []string{"problems", "--admin-address", s.admin}, nil, &out, io.Discard); code != exitFailed {
		t.Errorf("podway problems: exit code %d", code)
	}
	if !strings.Contains(out.String(), "Tunnel edge/bad") || !strings.Contains(out.String(), "1 problem: 1 error, 0 warnings\n") {
		t.Errorf("podway problems:\n%s", out.String())
	}

	if err := os.Remove(bad); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the problem", func() bool { _, body := s.get("/problems"); return body == "[]\n" })
	_ = s.stop() // the cleanup tells
	for _, want := range []string{`msg="Problem appeared"`, `msg="Problem resolved"`, `msg=Ready`, `msg="Configuration applied"`, "msg=Ended"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log does not have %s:\n%s", want, s.log)
		}
	}
	if strings.Count(s.log.String(), `msg="Problem appeared"`) != 1 {
		t.Errorf("a problem was told more than once:\n%s", s.log)
	}
}

// TestNoSecretIsLogged puts a private key everywhere it may be, and one where it must not be.
func TestNoSecretIsLogged(t *testing.T) {
	key := strings.Split(pair("valid").key, "\n")[1]
	s := startServe(t, func(directory string) {
		secrets := tlsSecretYAML("edge", "good", pair("valid").certificate, pair("valid").key) +
			tlsSecretYAML("edge", "broken", "no certificate", "-----BEGIN SESAME"+key) + "  extra: {SESAME: " + key + "}\n" +
			"---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: secure, namespace: edge}\nspec:\n" +
			"  gatewayClassName: podway\n  listeners:\n" +
			"  - {name: a, protocol: HTTPS, port: 8443, hostname: a.example.com, tls: {certificateRefs: [{name: good}]}}\n" +
			"  - {name: b, protocol: HTTPS, port: 8443, hostname: b.example.com, tls: {certificateRefs: [{name: broken}]}}\n"
		if err := os.WriteFile(filepath.Join(directory, "secrets.yaml"), []byte(secrets), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	_, problems := s.get("/problems")
	_, metrics := s.get("/metrics")
	for name, text := range map[string]string{"the log": s.log.String(), "/problems": problems, "/metrics": metrics} {
		if strings.Contains(text, key) || strings.Contains(text, "SESAME") {
			t.Errorf("%s has a key in it:\n%s", name, text)
		}
	}
	if !strings.Contains(problems, "broken") {
		t.Errorf("the broken secret is no problem: %s", problems)
	}
}

func TestPortsInUseNameTheirFlag(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for flag, cfg := range map[string]controlplane.Config{
		"--admin-address": {AdminAddress: taken.Addr().String(), XDSAddress: "127.0.0.1:0"},
		"--xds-address":   {AdminAddress: "127.0.0.1:0", XDSAddress: taken.Addr().String()},
	} {
		cfg.Directory, cfg.Logger = "testdata/base", slog.New(slog.DiscardHandler)
		err := serve(t.Context(), serveConfig{Config: cfg})
		want := flag + " " + taken.Addr().String() + ": the address is in use, perhaps by another podway; choose another one or end that"
		if err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}

// TestSignalEndsServeWithExitCode0 runs the program itself.
func TestSignalEndsServeWithExitCode0(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		log := &locked.Buffer{}
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Args = []string{"podway", "serve", "--config", "testdata/base", "--xds-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0", "--log-format", "json"}
		cmd.Stderr = log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "being ready", func() bool { return strings.Contains(log.String(), `"msg":"Ready"`) })
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v\n%s", signal, err, log)
		}
		if !strings.Contains(log.String(), `"msg":"Ended"`) {
			t.Errorf("%v: the log does not tell the end:\n%s", signal, log)
		}
	}
}
