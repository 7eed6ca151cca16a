package xds

import (
	"bytes"
	"crypto/tls"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/podway/podway/api"
	"github.com/podway/podway/xds/devca"
)

func serverLeaf(lifetime time.Duration) devca.Leaf {
	return devca.Leaf{Server: true, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(lifetime)}
}

// serial connects anew and returns the serial number of the server's certificate.
func (s *secureWorld) serial() *big.Int {
	s.world.Helper()
	seen := make(chan *big.Int, 1)
	c := s.deltaOver(s.dialTLS(s.client(gatewayIdentity), func(state tls.ConnectionState) {
		select {
		case seen <- state.PeerCertificates[0].SerialNumber:
		default:
		}
	}), "envoy-1")
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	return <-seen
}

func (s *secureWorld) serialOf(pair devca.Pair) *big.Int { return s.pair(pair).Leaf.SerialNumber }

func TestNewCertificateServesNewConnectionsAndLeavesTheOthersAlone(t *testing.T) {
	s := newSecureWorld(t, quick(), nil)
	c := s.over(s.client(gatewayIdentity))
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	next := s.issue(serverLeaf(time.Hour))
	s.writeServer(next)
	eventually(t, func() bool { return s.serial().Cmp(s.serialOf(next)) == 0 }, "new connections see the new certificate")
	eventually(t, func() bool { return s.count("podway_xds_certificate_reloads_total", "loaded") == 1 }, "it is counted")
	require.Equal(t, float64(s.pair(next).Leaf.NotAfter.Unix()), s.count("podway_xds_certificate_not_after_timestamp_seconds", "server"))
	c.quiet()
	eventually(t, func() bool { return len(s.problems()) == 0 }, "nothing is wrong: if anything, the key was seen before its certificate")
}

func TestBadNewPairKeepsTheOldOneAndIsAProblem(t *testing.T) {
	s := newSecureWorld(t, quick(), nil)
	good, err := os.ReadFile(s.path("server.crt"))
	require.NoError(t, err)
	key, err := os.ReadFile(s.path("server.key"))
	require.NoError(t, err)
	inUse := s.serialOf(devca.Pair{Certificate: good, Key: key})
	client := devca.Leaf{NotAfter: time.Now().Add(time.Hour)}
	for name, test := range map[string]struct {
		breaks func()
		says   string
	}{
		"the key of another":   {func() { s.write("server.key", s.issue(serverLeaf(time.Hour)).Key) }, "server.key is not the private key of the certificate in " + s.path("server.crt")},
		"cut off":              {func() { s.write("server.crt", good[:len(good)/2]) }, "server.crt holds PEM that is cut off or malformed"},
		"empty":                {func() { s.write("server.crt", nil) }, "server.crt holds no certificate in PEM"},
		"the key in its place": {func() { s.write("server.crt", key) }, "server.crt holds a PRIVATE KEY; certificates alone belong there"},
		"gone":                 {func() { require.NoError(t, os.Remove(s.path("server.crt"))) }, "server.crt: no such file or directory"},
		"huge":                 {func() { s.write("server.crt", bytes.Repeat([]byte("x"), maxFileBytes+1)) }, "server.crt has more than 1048576 bytes"},
		"a client's":           {func() { s.writeServer(s.issue(client)) }, "server.crt is not meant for a server: its extended key usage lacks serverAuth"},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.count("podway_xds_certificate_reloads_total", "failed")
			test.breaks()
			var problem api.Problem
			eventually(t, func() bool {
				for _, problem = range s.problems() {
					return strings.Contains(problem.Message, test.says)
				}
				return false
			}, "it is told: %s", test.says)
			require.Equal(t, "XDSCertificateNotLoaded", problem.Code)
			require.Equal(t, api.Error, problem.Severity)
			require.Equal(t, s.path("server.crt"), problem.File)
			require.Contains(t, problem.Message, "changed files cannot be used, and those before them stay in use: ")
			require.NotContains(t, problem.Message, "BEGIN")
			require.Greater(t, s.count("podway_xds_certificate_reloads_total", "failed"), before)
			require.Equal(t, inUse, s.serial())
			s.write("server.key", key)
			s.write("server.crt", good)
			eventually(t, func() bool { return len(s.problems()) == 0 }, "it is resolved")
		})
	}
}

func TestAuthorityThatIsNoLongerTrustedLosesItsConnections(t *testing.T) {
	s := newSecureWorld(t, quick(), nil)
	other := &pki{T: t, authority: newAuthority(t)}
	s.write("ca.crt", append(bytes.Clone(s.authority.PEM), other.authority.PEM...))
	eventually(t, func() bool { return s.count("podway_xds_certificate_reloads_total", "loaded") == 1 }, "both are trusted")
	old, next := s.over(s.client(gatewayIdentity)), s.over(other.client(gatewayIdentity))
	for _, c := range []*deltaClient{old, next} {
		c.subscribe(clusterType)
		c.want(clusterType, "a")
	}
	s.write("ca.crt", other.authority.PEM)
	require.Equal(t, codes.Unavailable, status.Code(old.ends()))
	next.quiet()
	require.Equal(t, 1.0, s.count("podway_xds_ended_connections_total", string(reasonUnknownAuthority)))
	require.ErrorContains(t, s.refused(s.client(gatewayIdentity)), "unknown certificate authority")
}

func TestBadAuthoritiesKeepTheOldOnes(t *testing.T) {
	s := newSecureWorld(t, quick(), nil)
	leaf := s.issue(serverLeaf(time.Hour))
	s.write("ca.crt", append(bytes.Clone(s.authority.PEM), leaf.Certificate...))
	eventually(t, func() bool { return len(s.problems()) == 1 }, "it is told")
	require.Contains(t, s.problems()[0].Message, `ca.crt holds the certificate "", which is no authority's`)
	require.NotNil(t, s.serial())
}

func TestCertificateThatExpiresSoonIsWarnedOf(t *testing.T) {
	s := newSecureWorld(t, quick(), nil)
	leaf := s.pair(s.issue(serverLeaf(time.Hour))).Leaf
	before, after := leaf.NotBefore, leaf.NotAfter
	for _, test := range []struct {
		now      time.Time
		severity api.Severity
		says     string
	}{
		{before.Add(-time.Second), api.Error, "it is not valid before "},
		{before, "", ""},
		{after.Add(-15 * time.Minute), "", ""},
		{after.Add(-10 * time.Minute), api.Warning, "it expires on " + after.UTC().Format("2006-01-02 15:04 MST")},
		{after.Add(time.Second), api.Error, "it expired on "},
	} {
		problem := dateProblem("f", "it", leaf, test.now)
		if test.says == "" {
			require.Nil(t, problem)
			continue
		}
		require.Equal(t, test.severity, problem.Severity)
		require.Contains(t, problem.Message, test.says)
	}
	s.writeServer(s.issue(serverLeaf(time.Minute)))
	eventually(t, func() bool {
		problems := s.problems() // first of all, perhaps, that the key was seen before its certificate
		return len(problems) == 1 && problems[0].Code == "XDSCertificateExpiring"
	}, "it is told")
	require.Contains(t, s.problems()[0].String(), "server.crt: warning XDSCertificateExpiring: podway's certificate on the xDS port expires on ")
}

func TestFilesThatAreBeingWrittenAreLeftAlone(t *testing.T) {
	p := newPKI(t)
	access, err := NewAccess(p.config())
	require.NoError(t, err)
	require.NoError(t, access.Load())
	next := p.issue(serverLeaf(time.Hour))
	p.write("server.key", next.Key)
	require.Equal(t, lookNothing, access.pair.look(), "seen once")
	p.write("server.crt", next.Certificate)
	require.Equal(t, lookNothing, access.pair.look(), "it has changed again")
	require.Equal(t, lookLoaded, access.pair.look())
	require.Equal(t, lookNothing, access.pair.look())
	require.NoError(t, access.pair.fault)
}

func TestFirstLoadSaysWhatCannotBeUsed(t *testing.T) {
	p := newPKI(t)
	for name, change := range map[string]func(*AccessConfig){
		p.path("nowhere") + ": no such file or directory": func(c *AccessConfig) { c.ClientCAFile = p.path("nowhere") },
		"server.key holds a PRIVATE KEY":                  func(c *AccessConfig) { c.CertificateFile = c.KeyFile },
	} {
		config := p.config()
		change(&config)
		access, err := NewAccess(config)
		require.NoError(t, err)
		require.ErrorContains(t, access.Load(), name)
	}
}

// A mounted Secret is changed by swapping a symbolic link to the directory that all its files are links into.
func TestCertificatesThatAreLinksAreTakenInWhenTheirDirectoryIsSwapped(t *testing.T) {
	p := newPKI(t)
	mount := func(version string, pair devca.Pair) {
		require.NoError(t, os.Mkdir(p.path(version), 0o700))
		require.NoError(t, os.WriteFile(p.path(version+"/tls.crt"), pair.Certificate, 0o600))
		require.NoError(t, os.WriteFile(p.path(version+"/tls.key"), pair.Key, 0o600))
		require.NoError(t, os.Symlink(version, p.path("..data_tmp")))
		require.NoError(t, os.Rename(p.path("..data_tmp"), p.path("..data")))
	}
	mount("..1", p.issue(serverLeaf(time.Hour)))
	for _, name := range []string{"tls.crt", "tls.key"} {
		require.NoError(t, os.Symlink("..data/"+name, p.path(name)))
	}
	config := p.config()
	config.CertificateFile, config.KeyFile = p.path("tls.crt"), p.path("tls.key")
	access, err := NewAccess(config)
	require.NoError(t, err)
	require.NoError(t, access.Load())
	next := p.issue(serverLeaf(2 * time.Hour))
	mount("..2", next)
	require.NoError(t, os.RemoveAll(p.path("..1")))
	require.Equal(t, lookNothing, access.pair.look(), "seen once")
	require.Equal(t, lookLoaded, access.pair.look())
	require.Equal(t, p.pair(next).Leaf.SerialNumber, access.credentials.Load().pair.Leaf.SerialNumber)
}
