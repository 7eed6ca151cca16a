package credential

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

var serviceAccountToken = token(map[string]any{
	"sub": "system:serviceaccount:podway-access:podway-east", "aud": []string{"https://kubernetes.default.svc", "k3s"},
	"iat": 1700000000, "exp": 4070908800,
})

func full(t *testing.T) *Credential {
	t.Helper()
	return mustParse(t, kubeconfig(
		plainServer+", tls-server-name: east.internal, disable-compression: true, proxy-url: 'http://u:"+secretWord+"@192.0.2.9:3128', certificate-authority-data: "+b64(good().certificate),
		"token: "+serviceAccountToken+", client-certificate-data: "+b64(good().certificate)+", client-key-data: "+b64(good().key)))
}

func TestWhatATokenSaysOfItself(t *testing.T) {
	c := mustParse(t, kubeconfig(plainServer, "token: "+serviceAccountToken))
	if want := (types.NamespacedName{Namespace: "podway-access", Name: "podway-east"}); c.ServiceAccount != want {
		t.Errorf("ServiceAccount %v, want %v", c.ServiceAccount, want)
	}
	if want := []string{"https://kubernetes.default.svc", "k3s"}; !slices.Equal(c.Audiences, want) {
		t.Errorf("audiences %q, want %q", c.Audiences, want)
	}
	if c.IssuedAt.Unix() != 1700000000 || c.Expires.Unix() != 4070908800 || c.TokenLifetime() != 2370908800*time.Second {
		t.Errorf("issued %v, expires %v, lifetime %v", c.IssuedAt, c.Expires, c.TokenLifetime())
	}
}

func TestTokensThatSayNothing(t *testing.T) {
	for name, token := range map[string]string{
		"Opaque":       "abc",
		"NotBase64":    "a.%%%.c",
		"NotJSON":      "a.YWJj.c",
		"NoNumbers":    token(map[string]any{"exp": "tomorrow", "iat": true}),
		"PastAnyClock": token(map[string]any{"exp": 1e300}),
		"OtherSubject": token(map[string]any{"sub": "system:serviceaccount:x", "aud": 7}),
	} {
		c := mustParse(t, kubeconfig(plainServer, `token: "`+token+`"`))
		if !c.Expires.IsZero() || !c.IssuedAt.IsZero() || c.ServiceAccount.Name != "" || c.Audiences != nil || c.TokenLifetime() != 0 {
			t.Errorf("%s: expires %v, issued %v, %v, %q", name, c.Expires, c.IssuedAt, c.ServiceAccount, c.Audiences)
		}
	}
}

func TestSingleAudienceAndFractions(t *testing.T) {
	c := mustParse(t, kubeconfig(plainServer, "token: "+token(map[string]any{"aud": "api", "exp": 4070908800.75})))
	if !slices.Equal(c.Audiences, []string{"api"}) || c.Expires.Unix() != 4070908800 {
		t.Errorf("audiences %q, expires %v", c.Audiences, c.Expires)
	}
}

func TestExpiresWithTheFirstOfTokenAndCertificate(t *testing.T) {
	if c := full(t); c.Expires.Unix() != 4070908800 {
		t.Errorf("expires %v, want that of the token", c.Expires)
	}
	c := full(t).WithToken(token(map[string]any{"exp": 5000000000}))
	if want := time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC); !c.Expires.Equal(want) {
		t.Errorf("expires %v, want that of the certificate, %v", c.Expires, want)
	}
}

func TestKubeconfigIsReadBackAsItWas(t *testing.T) {
	for name, c := range map[string]*Credential{
		"Full":     full(t),
		"Plain":    mustParse(t, kubeconfig(plainServer, plainUser)),
		"Loopback": mustParse(t, kubeconfig("server: 'http://127.0.0.1:8001'", "")),
	} {
		text, err := c.Kubeconfig()
		if err != nil {
			t.Fatal(err)
		}
		if again := mustParse(t, string(text)); !again.Equal(c) || again.Fingerprint() != c.Fingerprint() {
			t.Errorf("%s: another credential is read back:\n%s", name, text)
		}
	}
}

func TestFingerprintIsOfWhatItPointsTo(t *testing.T) {
	base := full(t)
	for name, change := range map[string]func(*Credential){
		"Token":    func(c *Credential) { c.Token = "other" },
		"Key":      func(c *Credential) { c.ClientCertificate, c.ClientKey = nil, nil },
		"Proxy":    func(c *Credential) { c.ProxyURL = "" },
		"Spelling": func(c *Credential) { c.Server = "HTTPS://192.0.2.1:6443/" },
		"PEM":      func(c *Credential) { c.CA = []byte("# comment\n" + string(c.CA) + "\n\n") },
	} {
		if c := *base; c.Fingerprint() != base.Fingerprint() {
			t.Fatal("two fingerprints of one credential")
		} else if change(&c); c.Fingerprint() != base.Fingerprint() || c.Equal(base) {
			t.Errorf("%s: another fingerprint, or no other credential", name)
		}
	}
	for name, change := range map[string]func(*Credential){
		"Server":     func(c *Credential) { c.Server = "https://192.0.2.2:6443" },
		"CA":         func(c *Credential) { c.CA = []byte(other().certificate) },
		"ServerName": func(c *Credential) { c.TLSServerName = "west.internal" },
	} {
		if c := *base; true {
			change(&c)
			if c.Fingerprint() == base.Fingerprint() {
				t.Errorf("%s: the same fingerprint", name)
			}
		}
	}
}

func TestEqual(t *testing.T) {
	var none *Credential
	c := full(t)
	if none.Equal(c) || c.Equal(none) || !none.Equal(nil) || !c.Equal(full(t)) {
		t.Error("Equal is wrong about nothing, or about the same")
	}
}

func TestRESTConfig(t *testing.T) {
	config := full(t).RESTConfig()
	if config.Host != "https://192.0.2.1:6443" || config.ServerName != "east.internal" || config.BearerToken != serviceAccountToken || config.BearerTokenFile != "" ||
		config.QPS != -1 || !config.DisableCompression || string(config.CAData) != good().certificate || string(config.CertData) != good().certificate ||
		string(config.KeyData) != good().key || config.Insecure || config.UserAgent != "" || config.Timeout != 0 {
		t.Errorf("%s is not all that the kubeconfig says", config)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://192.0.2.1:6443", nil)
	if err != nil {
		t.Fatal(err)
	}
	if proxy, err := config.Proxy(request); err != nil || proxy.Host != "192.0.2.9:3128" {
		t.Errorf("the proxy is %v, %v", proxy, err)
	}
}

func TestPrintingTellsNoSecret(t *testing.T) {
	c := full(t)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "pointer", c, "value", *c)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprint(*c), fmt.Sprintf("%+v %#v %s %q %x %d", c, c, *c, *c, *c, c), fmt.Sprintf("%#v", *c), log.String()} {
		if strings.Contains(text, secretWord) || strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "eyJ") {
			t.Errorf("a secret is printed: %s", text)
		}
	}
	const want = "credential for https://192.0.2.1:6443 of ServiceAccount podway-access/podway-east until 2099-01-01T00:00:00Z"
	if got := fmt.Sprint(c); got != want {
		t.Errorf("printed as %s, want %s", got, want)
	}
}
