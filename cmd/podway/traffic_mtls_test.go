package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	"github.com/podway/podway/demo"
	"github.com/podway/podway/xds"
)

// podway runs a command that must succeed, and returns what it prints.
func podway(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, run(t.Context(), args, nil, &stdout, &stderr), "podway %s: %s", strings.Join(args, " "), &stderr)
	return stdout.String()
}

// TestTrafficOverMTLS follows what podway certs advises: the certificates, podway serve, podway bootstrap and a real Envoy.
func TestTrafficOverMTLS(t *testing.T) {
	w := newWorld(t)
	w.service(w.east, demo.ServiceConfig{Name: "app"}, 1)
	w.write("app.yaml", tunnelYAML("app", members("east/app=100"))+routeYAML("app", "app.example", []string{"app"}))
	certs := filepath.Join(t.TempDir(), "certs")
	podway(t, "certs", "--dir", certs, "--gateway", "edge/front", "--gateway", "edge/other", "--trust-domain", "example.org")
	in := func(name string) string { return filepath.Join(certs, name) }
	w.xds = xdsOptions{Access: xds.AccessConfig{
		CertificateFile: in("server.crt"), KeyFile: in("server.key"), ClientCAFile: in("ca.crt"), TrustDomain: "example.org", Interval: 10 * time.Millisecond,
	}}
	w.startPlane()

	start := func(gateway, pair string) {
		directory := filepath.Join(t.TempDir(), "envoy")
		podway(t, "bootstrap", "--gateway", gateway, "--node-id", "test", "--xds-address", w.xdsAddress, "--admin-address", "127.0.0.1:0", "--dir", directory,
			"--xds-ca", in("ca.crt"), "--xds-client-cert", in(pair+".crt"), "--xds-client-key", in(pair+".key"))
		content, err := os.ReadFile(filepath.Join(directory, "envoy.yaml"))
		require.NoError(t, err)
		json, err := yaml.YAMLToJSON(content)
		require.NoError(t, err)
		bootstrap := &bootstrapv3.Bootstrap{}
		require.NoError(t, protojson.Unmarshal(json, bootstrap))
		w.startEnvoyWith(bootstrap)
	}
	start("edge/front", "edge_front")
	w.awaitStatus("app.example", "/", http.StatusOK)

	// A key that does not belong to the certificate is a Problem, and the old pair stays in use.
	podway(t, "certs", "--dir", in("other"), "--gateway", "edge/front")
	wrong, err := os.ReadFile(in("other/server.key"))
	require.NoError(t, err)
	require.NoError(t, replaceFile(in("server.key"), wrong, 0o600))
	eventually(t, "the Problem", func() bool { return strings.Contains(w.log.String(), "code=XDSCertificateNotLoaded severity=Error") })
	podway(t, "certs", "--dir", certs, "--gateway", "edge/front", "--trust-domain", "example.org", "--force")
	eventually(t, "its end", func() bool {
		return strings.Contains(w.log.String(), `msg="Problem resolved" code=XDSCertificateNotLoaded`)
	})
	w.awaitStatus("app.example", "/", http.StatusOK)
	require.NotContains(t, w.log.String(), "A stream was refused")
}
