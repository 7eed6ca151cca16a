package credential

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
)

// secretWord is in every secret of these tests, and in no message.
const secretWord = "hushhush"

var (
	good    = sync.OnceValue(func() pair { return newPair(time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC)) })
	other   = sync.OnceValue(func() pair { return newPair(time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC)) })
	expired = sync.OnceValue(func() pair { return newPair(time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)) })
)

// pair is a certificate that signs itself, and its key.
type pair struct{ certificate, key string }

func newPair(end time.Time) pair {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pair{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
	}
}

// token makes a token that nobody has signed.
func token(claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(payload) + "." + secretWord
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// kubeconfig makes one with these fields of its cluster and of its user.
func kubeconfig(cluster, user string) string {
	return `apiVersion: v1
kind: Config
current-context: main
contexts:
- {name: main, context: {cluster: east, user: podway}}
clusters:
- name: east
  cluster: {` + cluster + `}
users:
- name: podway
  user: {` + user + `}
`
}

const (
	plainServer = "server: 'https://192.0.2.1:6443'"
	plainUser   = "token: " + secretWord
)

// mustParse reads a kubeconfig of which nothing is wrong.
func mustParse(t *testing.T, text string) *Credential {
	t.Helper()
	credential, problems := Parse([]byte(text), Origin{Cluster: "east"})
	if len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	return credential
}

// said is what Parse says of a kubeconfig. It fails where that has a secret in it.
func said(t *testing.T, text string, source Source) []string {
	t.Helper()
	credential, problems := Parse([]byte(text), Origin{Cluster: "east", Source: source})
	var lines []string
	errors := false
	for _, problem := range problems {
		lines = append(lines, problem.String())
		errors = errors || problem.Severity == "Error"
	}
	if errors == (credential != nil) {
		t.Errorf("there is a credential: %v, though problems are %v", credential != nil, lines)
	}
	if all := strings.Join(lines, "\n"); strings.Contains(all, secretWord) || strings.Contains(all, b64(secretWord)) {
		t.Errorf("a message has a secret in it: %s", all)
	}
	return lines
}
