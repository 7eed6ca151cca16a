package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/podway/podway/envoy"
)

// bootstrapTLS are the flags of an Envoy's side of mTLS.
type bootstrapTLS struct {
	ca, certificate, key, serverName string
	// directory takes envoy.yaml and the files that it names; empty to print.
	directory string
}

func addBootstrapTLSFlags(cmd *cobra.Command) *bootstrapTLS {
	b := &bootstrapTLS{}
	flags := cmd.Flags()
	flags.StringVar(&b.ca, "xds-ca", "", "`FILE` with the authorities that sign podway's certificate, PEM, where the Envoy finds it")
	flags.StringVar(&b.certificate, "xds-client-cert", "", "`FILE` with the Envoy's certificate chain, PEM, where the Envoy finds it")
	flags.StringVar(&b.key, "xds-client-key", "", "`FILE` with its private key, PEM, where the Envoy finds it")
	flags.StringVar(&b.serverName, "xds-server-name", "", "`NAME` that podway's certificate must have: DNS, IP or spiffe:// (default the host of --xds-address)")
	flags.StringVar(&b.directory, "dir", "", "`DIR` to write envoy.yaml, and the files that it names, to; needed with certificates (default: print)")
	complete(cmd, "xds-server-name")
	return b
}

// config returns nil for plain text.
func (b *bootstrapTLS) config() (*envoy.XDSTLS, error) {
	if b.ca+b.certificate+b.key+b.serverName == "" {
		return nil, nil // plain text is what was asked for
	}
	for _, needed := range []struct{ flag, value string }{{"--xds-ca", b.ca}, {"--xds-client-cert", b.certificate}, {"--xds-client-key", b.key}} {
		if needed.value == "" {
			return nil, usagef("%s is missing: mTLS needs --xds-ca, --xds-client-cert and --xds-client-key", needed.flag)
		}
	}
	if b.directory == "" {
		return nil, usagef("--dir DIR is required with certificates: an Envoy reads them anew only where files beside its own configuration name them")
	}
	c := &envoy.XDSTLS{ServerName: b.serverName}
	for _, path := range []struct {
		to   *string
		from string
	}{{&c.CAFile, b.ca}, {&c.CertificateFile, b.certificate}, {&c.KeyFile, b.key}, {&c.Directory, b.directory}} {
		absolute, err := filepath.Abs(path.from)
		if err != nil {
			return nil, fmt.Errorf("finding %s: %w", path.from, err)
		}
		*path.to = absolute
	}
	return c, nil
}

// write puts the configuration and the files that it names into the directory, the configuration last.
func (b *bootstrapTLS) write(cmd *cobra.Command, tls *envoy.XDSTLS, bootstrap []byte) error {
	if err := os.MkdirAll(b.directory, 0o755); err != nil {
		return fmt.Errorf("making the directory: %w", err)
	}
	if tls != nil {
		files, err := envoy.SecretFiles(*tls)
		if err != nil {
			return usageError{err}
		}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err := replaceFile(filepath.Join(b.directory, name), files[name], 0o644); err != nil {
				return err
			}
		}
	}
	path := filepath.Join(b.directory, "envoy.yaml")
	if err := replaceFile(path, bootstrap, 0o644); err != nil {
		return err
	}
	return write(cmd.OutOrStdout(), []byte("written; now run: envoy -c "+shellWord(path)+"\n"))
}
