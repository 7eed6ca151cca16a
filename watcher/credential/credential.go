// Package credential knows what podway connects to a member cluster with: it
// reads a kubeconfig, says what is wrong with it, and writes one. It connects to nothing,
// and no message of it contains a token, a key or a password.
package credential

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Credential is an API server, and who podway is to it. It is immutable, and printing it prints no secret.
type Credential struct {
	// Server is a URL: https, or http to a loopback address.
	Server string
	// TLSServerName is the name that the server's certificate must have; empty for that of the URL.
	TLSServerName string
	// CA holds the authorities, PEM, that the server's certificate must come from; empty for those of this machine.
	CA []byte
	// Insecure is true where nobody looks at the server's certificate.
	Insecure bool
	// ClientCertificate and ClientKey are PEM; both or neither are empty.
	ClientCertificate []byte
	ClientKey         []byte `json:"-"`
	// Token is a bearer token, or empty.
	Token string `json:"-"`
	// ProxyURL is a proxy to reach the server by; empty for that of the environment.
	ProxyURL string `json:"-"`
	// DisableCompression asks the server for answers that are not compressed.
	DisableCompression bool

	// Expires is when the first of token and client certificate ends; zero where neither says.
	Expires time.Time
	// IssuedAt is when the token was made; zero where it does not say.
	IssuedAt time.Time
	// ServiceAccount is the one whose token this is; empty where it is no such token.
	ServiceAccount types.NamespacedName
	// Audiences are those of the token, as it lists them.
	Audiences []string
}

// String says where the credential leads and whose it is.
func (c Credential) String() string {
	text := "credential for " + c.Server
	if c.ServiceAccount.Name != "" {
		text += " of ServiceAccount " + c.ServiceAccount.String()
	}
	if !c.Expires.IsZero() {
		text += " until " + c.Expires.UTC().Format(time.RFC3339)
	}
	return text
}

// GoString is String: %#v would print the secrets otherwise.
func (c Credential) GoString() string { return c.String() }

// Format is String whatever the verb.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue is String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Fingerprint is a hash of what the credential points to: the server, its authorities and its name. Two credentials with one
// fingerprint lead to the same API server, whoever they are to it. There is no secret in it.
func (c *Credential) Fingerprint() string {
	hash := sha256.New()
	for _, part := range []string{normalServer(c.Server), c.TLSServerName, string(derOf(c.CA))} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		hash.Write(length[:])
		hash.Write([]byte(part))
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// normalServer spells a URL in one way.
func normalServer(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	if u.Port() == "" && u.Scheme == "https" {
		u.Host += ":443"
	}
	return strings.ToLower(u.Scheme+"://"+u.Host) + strings.TrimRight(u.Path, "/")
}

// Equal says whether two credentials are the same in all.
func (c *Credential) Equal(other *Credential) bool {
	if c == nil || other == nil {
		return c == other
	}
	return c.Server == other.Server && c.TLSServerName == other.TLSServerName && string(c.CA) == string(other.CA) &&
		c.Insecure == other.Insecure && string(c.ClientCertificate) == string(other.ClientCertificate) &&
		string(c.ClientKey) == string(other.ClientKey) && c.Token == other.Token && c.ProxyURL == other.ProxyURL &&
		c.DisableCompression == other.DisableCompression
}

// RESTConfig is what client-go connects with. It does not limit the rate of requests, and has neither a user agent nor a timeout.
func (c *Credential) RESTConfig() *rest.Config {
	config := &rest.Config{
		Host:               c.Server,
		BearerToken:        c.Token,
		QPS:                -1,
		DisableCompression: c.DisableCompression,
		TLSClientConfig: rest.TLSClientConfig{
			Insecure:   c.Insecure,
			ServerName: c.TLSServerName,
			CAData:     slices.Clone(c.CA),
			CertData:   slices.Clone(c.ClientCertificate),
			KeyData:    slices.Clone(c.ClientKey),
		},
	}
	if proxy, err := url.Parse(c.ProxyURL); err == nil && c.ProxyURL != "" {
		config.Proxy = http.ProxyURL(proxy)
	}
	return config
}

// WithToken is the same credential with another token.
func (c *Credential) WithToken(token string) *Credential {
	out := *c
	out.Token = token
	out.date()
	return &out
}

// date fills in what the token and the certificate say of themselves.
func (c *Credential) date() {
	claims := claimsOf(c.Token)
	c.Expires, c.IssuedAt, c.ServiceAccount, c.Audiences = claims.expires, claims.issuedAt, claims.serviceAccount, claims.audiences
	if certificates, err := certificatesOf(c.ClientCertificate); err == nil && len(certificates) > 0 {
		if end := certificates[0].NotAfter; c.Expires.IsZero() || end.Before(c.Expires) {
			c.Expires = end
		}
	}
}

// TokenLifetime is how long the token lasts from when it was made; 0 where it does not say.
func (c *Credential) TokenLifetime() time.Duration {
	claims := claimsOf(c.Token)
	if claims.expires.IsZero() || claims.issuedAt.IsZero() {
		return 0
	}
	return claims.expires.Sub(claims.issuedAt)
}
