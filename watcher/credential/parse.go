package credential

import (
	"crypto/tls"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/podway/podway/api"
)

// MaxBytes is how large a kubeconfig may be.
const MaxBytes = 1 << 20

// Parse reads a kubeconfig as kubectl does, of which only what its current-context names matters. There is a Credential if
// and only if no Problem is an Error.
func Parse(data []byte, origin Origin) (*Credential, []api.Problem) {
	if len(data) > MaxBytes {
		return nil, []api.Problem{origin.problem(api.CodeTooLarge, "keep one context in it: kubectl config view --raw --minify --flatten",
			"the kubeconfig has %d bytes, but may have %d", len(data), MaxBytes)}
	}
	config, err := clientcmd.Load(data)
	if err != nil {
		return nil, []api.Problem{origin.problem(CodeInvalidKubeconfig, "write it anew: kubectl config view --raw --minify --flatten",
			"the kubeconfig cannot be read: %s", why(err))}
	}
	p := &parser{origin: origin, now: time.Now()}
	cluster, user := p.current(config)
	if cluster == nil || user == nil {
		return nil, p.problems
	}
	out := &Credential{}
	p.server(out, cluster)
	p.proxy(out, cluster)
	p.authorities(out, cluster)
	p.plugins(user)
	p.identity(user)
	p.certificate(out, user)
	p.token(out, user)
	p.somebody(out, user)
	out.date()
	p.expiry(out)
	for _, problem := range p.problems {
		if problem.Severity == api.Error {
			return nil, p.problems
		}
	}
	return out, p.problems
}

// parser gathers what is wrong with one kubeconfig.
type parser struct {
	origin   Origin
	now      time.Time
	problems []api.Problem
}

func (p *parser) refuse(remedy, format string, args ...any) {
	p.problems = append(p.problems, p.origin.problem(CodeInvalidKubeconfig, remedy, format, args...))
}

var (
	nearLine   = regexp.MustCompile(`line (\d+)`)
	wrongField = regexp.MustCompile(`cannot unmarshal .* into Go struct field \w+\.(\S+) of type`)
)

// why says why a kubeconfig does not parse, without the error's own words: they can quote what is in it.
func why(err error) string {
	text := err.Error()
	if field := wrongField.FindStringSubmatch(text); field != nil {
		return field[1] + " is not of the type that it must be"
	}
	if strings.Contains(text, "duplicate name") {
		return "two of its clusters, users or contexts have one name"
	}
	if strings.Contains(text, "no kind") {
		return "it is not of apiVersion v1 and kind Config"
	}
	if line := nearLine.FindStringSubmatch(text); line != nil {
		return "it is no YAML near line " + line[1]
	}
	return "it is no YAML of a kubeconfig"
}

// current finds the cluster and the user of the current context.
func (p *parser) current(config *clientcmdapi.Config) (*clientcmdapi.Cluster, *clientcmdapi.AuthInfo) {
	const remedy = "name one of the contexts: kubectl config use-context"
	if config.CurrentContext == "" {
		p.refuse(remedy, "the kubeconfig has no current-context")
		return nil, nil
	}
	context := config.Contexts[config.CurrentContext]
	if context == nil {
		p.refuse(remedy, "the kubeconfig's current-context %q is none of its contexts", short(config.CurrentContext))
		return nil, nil
	}
	const missing = "correct the context, or name another one as current-context"
	cluster, user := config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo]
	if cluster == nil {
		p.refuse(missing, "the context %q names the cluster %q, which the kubeconfig does not have", short(config.CurrentContext), short(context.Cluster))
	}
	if user == nil {
		p.refuse(missing, "the context %q names the user %q, which the kubeconfig does not have", short(config.CurrentContext), short(context.AuthInfo))
	}
	return cluster, user
}

// short is the beginning of a name: a message has no more of it.
func short(name string) string {
	const limit = 100
	if len(name) > limit {
		return strings.ToValidUTF8(name[:limit], "") + "..."
	}
	return name
}

// server checks where the kubeconfig leads. The URL is not quoted: there can be a password in it.
func (p *parser) server(out *Credential, cluster *clientcmdapi.Cluster) {
	const remedy = "set the server to https://HOST:PORT"
	if cluster.Server == "" {
		p.refuse(remedy, "the kubeconfig's cluster has no server")
		return
	}
	u, err := url.Parse(cluster.Server)
	switch {
	case err != nil:
		p.refuse(remedy, "the kubeconfig's server is no URL")
	case u.User != nil:
		p.refuse("remove what is before the @, and use a token or a client certificate", "the kubeconfig's server has a user or a password in its URL")
	case u.Scheme != "https" && u.Scheme != "http":
		p.refuse(remedy, "the kubeconfig's server is not https")
	case u.Hostname() == "":
		p.refuse(remedy, "the kubeconfig's server names no host")
	case u.RawQuery != "" || u.Fragment != "":
		p.refuse(remedy, "the kubeconfig's server has a query or a fragment in its URL")
	case u.Scheme == "http" && p.origin.Source == FromSecret:
		p.refuse(remedy, "the kubeconfig's server is not https")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		p.refuse(remedy, "the kubeconfig's server is not https, which only a loopback address may do without")
	}
	out.Server, out.TLSServerName, out.DisableCompression = cluster.Server, cluster.TLSServerName, cluster.DisableCompression
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

func (p *parser) proxy(out *Credential, cluster *clientcmdapi.Cluster) {
	if cluster.ProxyURL == "" {
		return
	}
	u, err := url.Parse(cluster.ProxyURL)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
		p.refuse("set it to http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT, or remove it", "the kubeconfig's proxy-url is no URL of a proxy")
	}
	out.ProxyURL = cluster.ProxyURL
}

// authorities checks by what the server's certificate is verified.
func (p *parser) authorities(out *Credential, cluster *clientcmdapi.Cluster) {
	p.path("certificate-authority", cluster.CertificateAuthority)
	out.CA = cluster.CertificateAuthorityData
	if len(out.CA) > 0 {
		if _, err := certificatesOf(out.CA); err != nil {
			p.refuse("put the cluster's CA there: PEM, in base64", "the kubeconfig's certificate-authority-data holds no certificate that can be read")
		}
	}
	if !cluster.InsecureSkipTLSVerify {
		return
	}
	const remedy = "put the cluster's CA into certificate-authority-data and remove insecure-skip-tls-verify"
	switch {
	case p.origin.Source == FromSecret:
		p.refuse(remedy, "the kubeconfig skips TLS verification, which one from a Secret may not")
	case len(out.CA) > 0:
		p.refuse("remove insecure-skip-tls-verify", "the kubeconfig has a certificate-authority-data, but skips TLS verification")
	default:
		warning := p.origin.problem(CodeInsecureKubeconfig, remedy, "the kubeconfig skips TLS verification: whoever is on the way to the cluster can pass for it, and has the token")
		warning.Severity = api.Warning
		p.problems = append(p.problems, warning)
	}
	out.Insecure = true
}

// path refuses what is in another file: podway would not see it change, and one from a Secret could name any file of this machine.
func (p *parser) path(field, value string) {
	if value != "" {
		p.refuse("put what is in it into the kubeconfig: kubectl config view --raw --flatten, or use "+p.origin.authorize(),
			"the kubeconfig has a path to another file in %s", field)
	}
}

// plugins refuses programs.
func (p *parser) plugins(user *clientcmdapi.AuthInfo) {
	remedy := "use a token of a ServiceAccount: " + p.origin.authorize() + " takes this kubeconfig as ADMIN and makes one"
	if user.Exec != nil {
		p.refuse(remedy, "the kubeconfig runs a program for its user (exec), which podway does not")
	}
	if user.AuthProvider != nil {
		p.refuse(remedy, "the kubeconfig has an auth-provider for its user, which podway does not have")
	}
}

// identity refuses what makes the user another one. To impersonate, a credential needs more rights than whom it impersonates has,
// and a token that is renewed would be the wrong one's.
func (p *parser) identity(user *clientcmdapi.AuthInfo) {
	remedy := "use a token of a ServiceAccount: " + p.origin.authorize()
	if user.Username != "" || user.Password != "" {
		p.refuse(remedy, "the kubeconfig has a user name or a password, which no API server takes any more")
	}
	if user.Impersonate != "" || user.ImpersonateUID != "" || len(user.ImpersonateGroups) > 0 || len(user.ImpersonateUserExtra) > 0 {
		p.refuse(remedy, "the kubeconfig impersonates another user (as), which needs more rights than podway should have")
	}
}

func (p *parser) certificate(out *Credential, user *clientcmdapi.AuthInfo) {
	p.path("client-certificate", user.ClientCertificate)
	p.path("client-key", user.ClientKey)
	certificate, key := user.ClientCertificateData, user.ClientKeyData
	if len(certificate)+len(key) == 0 {
		return
	}
	const remedy = "put the certificate and its key there: PEM, in base64"
	if _, err := certificatesOf(certificate); err != nil {
		p.refuse(remedy, "the kubeconfig's client-certificate-data holds no certificate that can be read")
	} else if _, err := tls.X509KeyPair(certificate, key); err != nil {
		p.refuse(remedy, "the kubeconfig's client-key-data is not the private key of its client-certificate-data, or is encrypted")
	}
	out.ClientCertificate, out.ClientKey = certificate, key
}

func (p *parser) token(out *Credential, user *clientcmdapi.AuthInfo) {
	p.path("tokenFile", user.TokenFile)
	out.Token = strings.TrimSpace(user.Token) // A text block in YAML ends with a newline.
	if strings.ContainsFunc(out.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		p.refuse("put the token there in one line", "the kubeconfig's token has characters that no token has")
	}
}

// somebody refuses a user that is nobody.
func (p *parser) somebody(out *Credential, user *clientcmdapi.AuthInfo) {
	nobody := out.Token == "" && user.TokenFile == "" && len(out.ClientCertificate) == 0 && user.ClientCertificate == "" && user.ClientKey == "" &&
		len(out.ClientKey) == 0 && user.Exec == nil && user.AuthProvider == nil && user.Username == "" && user.Password == ""
	if nobody && !strings.HasPrefix(out.Server, "http:") { // Such as kubectl proxy, which is somebody by itself.
		p.refuse("use a token of a ServiceAccount: "+p.origin.authorize(), "the kubeconfig's user has neither a token nor a client certificate")
	}
}

func (p *parser) expiry(out *Credential) {
	remedy := "make a new one: " + p.origin.authorize()
	if end := claimsOf(out.Token).expires; !end.IsZero() && !end.After(p.now) {
		p.problems = append(p.problems, p.origin.problem(CodeCredentialExpired, remedy, "the kubeconfig's token has expired at %s", end.UTC().Format(time.RFC3339)))
	}
	if certificates, err := certificatesOf(out.ClientCertificate); err == nil && !certificates[0].NotAfter.After(p.now) {
		p.problems = append(p.problems, p.origin.problem(CodeCredentialExpired, remedy, "the kubeconfig's client certificate has expired at %s",
			certificates[0].NotAfter.UTC().Format(time.RFC3339)))
	}
}
