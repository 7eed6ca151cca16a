package xds

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podway/podway/api"
)

// AccessConfig says with which certificates podway meets its clients, and what theirs stand for.
type AccessConfig struct {
	// CertificateFile is the server's chain and KeyFile its private key; ClientCAFile are the authorities that sign clients'
	// certificates. All are PEM, of 1 MiB at the most.
	CertificateFile, KeyFile, ClientCAFile string
	// TrustDomain is the SPIFFE trust domain that all clients must be of.
	TrustDomain string
	// IdentityPath is the path of a Gateway's identity, DefaultIdentityPath if empty: {namespace} and {name} are a segment each.
	IdentityPath string
	// Operators are identities of the trust domain, as spiffe://TRUST-DOMAIN/PATH, that may see what all Envoys have.
	Operators []string
	// Interval is how often the files are looked at, 1 s if 0. A change is taken in once it has stood for that long, so that files
	// that are being written are left alone.
	Interval time.Duration
}

// Access is mutual TLS on the xDS port. A connection lives no longer than its client's certificate, and no longer than its authority
// is trusted; otherwise a change of the files leaves connections alone.
type Access struct {
	config     AccessConfig
	identities *identities
	pair       fileGroup
	bundle     fileGroup
	// credentials are those of new connections.
	credentials atomic.Pointer[serverCredentials]

	expiry  *prometheus.GaugeVec
	reloads *prometheus.CounterVec

	// mu guards what follows.
	mu    sync.Mutex
	conns map[*clientConn]struct{}
}

// NewAccess checks what can be checked without reading a file.
func NewAccess(config AccessConfig) (*Access, error) {
	identities, err := newIdentities(config.TrustDomain, config.IdentityPath, config.Operators)
	if err != nil {
		return nil, err
	}
	if config.Interval <= 0 {
		config.Interval = time.Second
	}
	a := &Access{
		config: config, identities: identities, conns: map[*clientConn]struct{}{},
		expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "podway_xds_certificate_not_after_timestamp_seconds",
			Help: "Unix time at which the certificate in use expires: server, or client_ca for the first of the authorities.",
		}, []string{"certificate"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_xds_certificate_reloads_total", Help: "Changes of the xDS port's certificate files, by result: loaded or failed.",
		}, []string{"result"}),
	}
	a.pair = fileGroup{paths: []string{config.CertificateFile, config.KeyFile}, load: a.loadPair}
	a.bundle = fileGroup{paths: []string{config.ClientCAFile}, load: a.loadBundle}
	return a, nil
}

// Load reads the files for the first time. The error says which of them cannot be used, and why.
func (a *Access) Load() error {
	a.credentials.Store(&serverCredentials{})
	for _, group := range []*fileGroup{&a.pair, &a.bundle} {
		if err := group.first(); err != nil {
			return err
		}
	}
	return nil
}

// Run follows the files until the context ends. tell is called with what is wrong with them whenever that changes; an empty slice
// means nothing. Files that cannot be used are told of, and those before them stay in use. Call it once, after Load.
func (a *Access) Run(ctx context.Context, tell func([]api.Problem)) {
	ticker := time.NewTicker(a.config.Interval)
	defer ticker.Stop()
	var before []api.Problem
	for {
		if problems := a.problems(time.Now()); !slices.Equal(before, problems) {
			tell(problems)
			before = problems
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, group := range []*fileGroup{&a.pair, &a.bundle} {
			a.count(group.look())
		}
	}
}

func (a *Access) count(result lookResult) {
	switch result {
	case lookLoaded:
		a.reloads.WithLabelValues("loaded").Inc()
	case lookFailed:
		a.reloads.WithLabelValues("failed").Inc()
	case lookNothing:
	}
}

// loadPair takes a new certificate and key into use.
func (a *Access) loadPair(contents [][]byte) error {
	pair, err := parsePair(a.config.CertificateFile, a.config.KeyFile, contents[0], contents[1])
	if err != nil {
		return err
	}
	a.credentials.Store(newServerCredentials(pair, a.credentials.Load().authorities))
	a.expiry.WithLabelValues("server").Set(float64(pair.Leaf.NotAfter.Unix()))
	return nil
}

// loadBundle takes new authorities into use, and closes the connections of those that are no longer among them.
func (a *Access) loadBundle(contents [][]byte) error {
	authorities, err := parseBundle(a.config.ClientCAFile, contents[0])
	if err != nil {
		return err
	}
	a.credentials.Store(newServerCredentials(a.credentials.Load().pair, authorities))
	first := authorities[0].NotAfter
	for _, authority := range authorities {
		if authority.NotAfter.Before(first) {
			first = authority.NotAfter
		}
	}
	a.expiry.WithLabelValues("client_ca").Set(float64(first.Unix()))
	a.recheckAll()
	return nil
}

func (a *Access) open() []*clientConn {
	a.mu.Lock()
	defer a.mu.Unlock()
	conns := make([]*clientConn, 0, len(a.conns))
	for conn := range a.conns {
		conns = append(conns, conn)
	}
	return conns
}

// The codes of Problems of the xDS port's certificates.
const (
	// codeXDSCertificateNotLoaded: changed files cannot be used; those before them stay in use.
	codeXDSCertificateNotLoaded = "XDSCertificateNotLoaded"
	// codeXDSCertificateOutOfDate: a certificate in use has expired or is not valid yet.
	codeXDSCertificateOutOfDate = "XDSCertificateOutOfDate"
	// codeXDSCertificateExpiring: a certificate in use expires soon.
	codeXDSCertificateExpiring = "XDSCertificateExpiring"
)

const (
	// warnBefore is how long before its end a certificate is warned of, but not before warnShare of its life has passed: one that is
	// renewed every day is not always about to expire.
	warnBefore = 14 * 24 * time.Hour
	warnShare  = 5
)

// problems are what is wrong with the files now.
func (a *Access) problems(now time.Time) []api.Problem {
	var problems []api.Problem
	for _, group := range []*fileGroup{&a.pair, &a.bundle} {
		if group.fault != nil {
			problems = append(problems, api.Problem{
				Code: codeXDSCertificateNotLoaded, Severity: api.Error, File: group.paths[0],
				Message: fmt.Sprintf("changed files cannot be used, and those before them stay in use: %v", group.fault),
				Remedy:  "correct them; they are read again as soon as they change",
			})
		}
	}
	used := a.credentials.Load()
	if p := dateProblem(a.config.CertificateFile, "podway's certificate on the xDS port", used.pair.Leaf, now); p != nil {
		problems = append(problems, *p)
	}
	for _, authority := range used.authorities {
		what := fmt.Sprintf("the authority %q of xDS clients", short(authority.Subject.String()))
		if p := dateProblem(a.config.ClientCAFile, what, authority, now); p != nil {
			problems = append(problems, *p)
		}
	}
	return problems
}

// dateProblem is nil for a certificate that is valid for long enough.
func dateProblem(file, what string, certificate *x509.Certificate, now time.Time) *api.Problem {
	p := &api.Problem{Code: codeXDSCertificateOutOfDate, Severity: api.Error, File: file, Remedy: "renew it; the file is read again as soon as it changes"}
	const date = "2006-01-02 15:04 MST"
	soon := min(warnBefore, certificate.NotAfter.Sub(certificate.NotBefore)/warnShare)
	switch {
	case now.Before(certificate.NotBefore):
		p.Message = fmt.Sprintf("%s is not valid before %s: connections fail", what, certificate.NotBefore.UTC().Format(date))
		p.Remedy = "use one that is valid now, or correct the clock"
	case now.After(certificate.NotAfter):
		p.Message = fmt.Sprintf("%s expired on %s: connections fail", what, certificate.NotAfter.UTC().Format(date))
	case certificate.NotAfter.Sub(now) < soon:
		p.Code, p.Severity = codeXDSCertificateExpiring, api.Warning
		p.Message = fmt.Sprintf("%s expires on %s", what, certificate.NotAfter.UTC().Format(date))
	default:
		return nil
	}
	return p
}
