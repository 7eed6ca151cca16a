package main

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/podway/podway/xds"
)

// xdsOptions say who may connect to the xDS port, how much clients may cost, and how they are let go.
type xdsOptions struct {
	Access xds.AccessConfig
	Limits xds.Limits
	// ShutdownSpread is the time over which streams are closed at the end; 0 for all at once.
	ShutdownSpread time.Duration
}

// addXDSFlags adds the flags of xdsOptions to a command.
func addXDSFlags(cmd *cobra.Command, o *xdsOptions) {
	flags := cmd.Flags()
	flags.StringVar(&o.Access.CertificateFile, "xds-cert", "", "`FILE` with podway's certificate chain on the xDS port, PEM: asks clients for theirs")
	flags.StringVar(&o.Access.KeyFile, "xds-key", "", "`FILE` with its private key, PEM")
	flags.StringVar(&o.Access.ClientCAFile, "xds-client-ca", "", "`FILE` with the authorities that sign clients' certificates, PEM")
	flags.StringVar(&o.Access.TrustDomain, "trust-domain", "", "SPIFFE trust `DOMAIN` of the clients; a certificate of another one is refused")
	flags.StringVar(&o.Access.IdentityPath, "identity-path", xds.DefaultIdentityPath, "`PATH` in the trust domain that a Gateway's certificate has")
	flags.StringArrayVar(&o.Access.Operators, "operator-identity", nil, "`URI` of an identity that may see what all Envoys have, such as spiffe://DOMAIN/operator; repeatable")
	flags.IntVar(&o.Limits.MaxStreams, "xds-max-streams", xds.DefaultMaxStreams, "`COUNT` of xDS streams at a time; an Envoy needs one")
	flags.IntVar(&o.Limits.MaxStreamsPerPeer, "xds-max-streams-per-peer", xds.DefaultMaxStreamsPerPeer, "`COUNT` of xDS streams of one address, and of one identity")
	flags.Float64Var(&o.Limits.StreamRate, "xds-stream-rate", xds.DefaultStreamRate,
		"`COUNT` of xDS streams that may be opened in a second; bursts may be 4 times that, and one address or identity a fifth of it")
	flags.IntVar(&o.Limits.MaxRequestBytes, "xds-max-request-bytes", xds.DefaultMaxRequestBytes, "largest xDS request that is read, in `BYTES`")
	flags.DurationVar(&o.Limits.PingInterval, "xds-ping-interval", xds.DefaultPingInterval, "`DURATION` of silence after which a connection is asked whether its peer is there; at least 1s")
	flags.DurationVar(&o.ShutdownSpread, "xds-shutdown-spread", 5*time.Second,
		"`DURATION` over which xDS streams are closed at the end, so that their Envoys move to other replicas one after the other")
	for _, name := range []string{
		"trust-domain", "identity-path", "operator-identity",
		"xds-max-streams", "xds-max-streams-per-peer", "xds-stream-rate", "xds-max-request-bytes", "xds-ping-interval", "xds-shutdown-spread",
	} {
		complete(cmd, name)
	}
}

// check refuses what the flags cannot have. Zeros are the defaults of a configuration that is no command line.
func (o *xdsOptions) check() error {
	for flag, value := range map[string]float64{
		"xds-max-streams": float64(o.Limits.MaxStreams), "xds-max-streams-per-peer": float64(o.Limits.MaxStreamsPerPeer),
		"xds-stream-rate": o.Limits.StreamRate, "xds-max-request-bytes": float64(o.Limits.MaxRequestBytes),
	} {
		if value < 0 {
			return usagef("--%s: want a number of more than 0, or 0 for the default", flag)
		}
	}
	if interval := o.Limits.PingInterval; interval != 0 && interval < time.Second {
		return usagef("--xds-ping-interval %s: want 1s or more", interval)
	}
	if o.ShutdownSpread < 0 {
		return usagef("--xds-shutdown-spread %s: want 0s or more", o.ShutdownSpread)
	}
	return nil
}

// openAccess reads the certificates of the xDS port. It returns nil where none are named: plain text.
func (o *xdsOptions) openAccess(insecure bool) (*xds.Access, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	needed := []struct{ flag, value string }{
		{"--xds-cert", o.Access.CertificateFile},
		{"--xds-key", o.Access.KeyFile},
		{"--xds-client-ca", o.Access.ClientCAFile},
		{"--trust-domain", o.Access.TrustDomain},
	}
	var missing []string
	for _, n := range needed {
		if n.value == "" {
			missing = append(missing, n.flag)
		}
	}
	switch {
	case len(missing) == len(needed) && len(o.Access.Operators) == 0:
		return nil, nil // no access control is what was asked for
	case len(missing) > 0:
		return nil, usagef("%s is missing: mTLS on the xDS port needs --xds-cert, --xds-key, --xds-client-ca and --trust-domain (podway certs makes certificates for development)", missing[0])
	case insecure:
		return nil, usagef("--insecure-xds and --xds-cert exclude each other: the one is plain text, the other mTLS")
	}
	access, err := xds.NewAccess(o.Access)
	if err != nil {
		return nil, usageError{err}
	}
	if err := access.Load(); err != nil {
		return nil, fmt.Errorf("certificates of the xDS port: %w", err)
	}
	return access, nil
}

// checkXDSAddress refuses what would hand private keys to a network without having been told to.
func checkXDSAddress(address string, insecure bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usagef("--xds-address %q: want HOST:PORT", address)
	}
	if ip, err := netip.ParseAddr(host); insecure || host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return usagef("--xds-address %s is not a loopback address: xDS is plain text, and whoever reaches it can read the private keys of "+
		"HTTPS listeners; use a loopback address, ask for certificates with --xds-cert (podway certs makes some for development), or say --insecure-xds if the network is trusted", address)
}
