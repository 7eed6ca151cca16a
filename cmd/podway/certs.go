package main

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/xds/devca"
)

// The lifetimes of certificates for development.
const (
	defaultLifetime = 30 * 24 * time.Hour
	maxLifetime     = 365 * 24 * time.Hour
)

// certsConfig is what the flags of podway certs say.
type certsConfig struct {
	directory   string
	gateways    []string
	dns         []string
	ips         []string
	trustDomain string
	lifetime    time.Duration
	force       bool
}

func newCertsCommand() *cobra.Command {
	var cfg certsConfig
	cmd := &cobra.Command{
		Use:   "certs --dir DIR --gateway NAMESPACE/NAME",
		Short: "Make certificates for mTLS between podway and its Envoys, for development",
		Long: `Make an authority, a certificate for podway serve and one for each Gateway's Envoys in a
directory, and print the commands that use them. What is there already and fits is kept;
nothing is overwritten without --force, and the authority not even then.

This is for development: whoever reads ca.key can be any Gateway, and nobody renews what
expires. In production have cert-manager, SPIRE or your own authority write the files;
podway and Envoy take new ones into use as they change.`,
		Example: `  podway certs --dir certs --gateway edge/front
  podway certs --dir certs --gateway edge/front --gateway edge/back --dns podway.internal --ip 10.0.0.5

  # Anew, before they expire:
  podway certs --dir certs --gateway edge/front --force`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := requireFlags(cmd, "dir"); err != nil {
				return err
			}
			return cfg.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.directory, "dir", "", "`DIR` for the certificates and keys (required)")
	flags.StringArrayVar(&cfg.gateways, "gateway", nil, "`NAMESPACE/NAME` of a Gateway whose Envoys get a certificate (required; repeatable)")
	flags.StringArrayVar(&cfg.dns, "dns", nil, "`NAME` by which Envoys reach podway, beside localhost; repeatable")
	flags.StringArrayVar(&cfg.ips, "ip", nil, "`ADDRESS` at which Envoys reach podway, beside 127.0.0.1 and ::1; repeatable")
	flags.StringVar(&cfg.trustDomain, "trust-domain", "podway.local", "SPIFFE trust `DOMAIN` of the Envoys' identities")
	flags.DurationVar(&cfg.lifetime, "lifetime", defaultLifetime, "`DURATION` that the certificates are good for; at most 8760h, the authority's own")
	flags.BoolVar(&cfg.force, "force", false, "replace certificates and keys that are there")
	flags.String("config", "", "`DIR` of YAML, only to complete --gateway in a shell")
	completeWith(cmd, "gateway", completeGateways)
	for _, name := range []string{"dns", "ip", "trust-domain", "lifetime"} {
		complete(cmd, name)
	}
	return cmd
}

func (c *certsConfig) run(cmd *cobra.Command) error {
	leaves, err := c.leaves(time.Now())
	if err != nil {
		return err
	}
	said, err := makeCertificates(c.directory, leaves, c.force, time.Now())
	if err != nil {
		return err
	}
	return write(cmd.OutOrStdout(), []byte(said+c.advice()))
}

// leaf is a certificate to make.
type leaf struct {
	// name is that of its files, without .crt and .key.
	name string
	devca.Leaf
}

// leaves are podway's own certificate and those of the Gateways.
func (c *certsConfig) leaves(now time.Time) ([]leaf, error) {
	if len(c.gateways) == 0 {
		return nil, usagef("--gateway NAMESPACE/NAME is required (see podway certs --help)")
	}
	if c.lifetime < time.Minute || c.lifetime > maxLifetime {
		return nil, usagef("--lifetime %s: want from 1m to %.0fh", c.lifetime, maxLifetime.Hours())
	}
	if c.trustDomain == "" || strings.Trim(c.trustDomain, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return nil, usagef("--trust-domain %q: want a name of lower-case letters, digits, dots, dashes and underscores, such as example.org", c.trustDomain)
	}
	until := now.Add(c.lifetime)
	server := leaf{name: "server", Leaf: devca.Leaf{CommonName: "podway", NotAfter: until, Server: true, DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}}}
	for _, name := range c.dns {
		if name == "" || strings.ContainsAny(name, " /:*") {
			return nil, usagef("--dns %q: want a DNS name, such as podway.internal", name)
		}
		server.DNSNames = append(server.DNSNames, name)
	}
	for _, text := range c.ips {
		address := net.ParseIP(text)
		if address == nil {
			return nil, usagef("--ip %q: want an IP address", text)
		}
		server.IPs = append(server.IPs, address)
	}
	leaves := []leaf{server}
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		identity := &url.URL{Scheme: "spiffe", Host: c.trustDomain, Path: "/gateway/" + name.String()}
		leaves = append(leaves, leaf{name: clientFile(name), Leaf: devca.Leaf{CommonName: "Envoy", NotAfter: until, URIs: []*url.URL{identity}}})
	}
	return leaves, nil
}

// names are the Gateways, each once.
func (c *certsConfig) names() ([]types.NamespacedName, error) {
	var names []types.NamespacedName
	for _, gateway := range c.gateways {
		name, err := parseGateway(gateway)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// clientFile is unique: no namespace has an underscore.
func clientFile(gateway types.NamespacedName) string { return gateway.Namespace + "_" + gateway.Name }

// advice is the commands that use the certificates.
func (c *certsConfig) advice() string {
	path := func(name string) string { return shellWord(pathIn(c.directory, name)) }
	listen, reach := "", ""
	switch {
	case len(c.ips) > 0:
		address := net.JoinHostPort(c.ips[0], "18000")
		listen, reach = " --xds-address "+shellWord(address), " --xds-address "+shellWord(address)
	case len(c.dns) > 0:
		listen, reach = " --xds-address :18000", " --xds-address "+shellWord(c.dns[0]+":18000")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nFor development: whoever reads %s can be any Gateway. Use them with\n\n", pathIn(c.directory, "ca.key"))
	fmt.Fprintf(&b, "podway serve --config DIR%s --xds-cert %s --xds-key %s --xds-client-ca %s --trust-domain %s\n",
		listen, path("server.crt"), path("server.key"), path("ca.crt"), c.trustDomain)
	names, _ := c.names() // leaves has seen them
	for _, name := range names {
		file := clientFile(name)
		fmt.Fprintf(&b, "podway bootstrap --gateway %s%s --xds-ca %s --xds-client-cert %s --xds-client-key %s --dir %s\n",
			name, reach, path("ca.crt"), path(file+".crt"), path(file+".key"), path(file))
	}
	return b.String()
}

// shellWord quotes what a shell would take apart.
func shellWord(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:/_-@%+=") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
