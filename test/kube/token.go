package kubetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ExpiryLeeway is for how long an API server takes a ServiceAccount's token after its expiry: a minute of leeway for clocks
// (jwt.DefaultLeeway of go-jose) and 10 s in which it remembers tokens that were good (TokenSuccessCacheTTL).
const ExpiryLeeway = 70 * time.Second

// writeAccountKey makes the key by which tokens of ServiceAccounts are signed.
func (c *Cluster) writeAccountKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("%s: making the key of tokens: %w", c.Name, err)
	}
	private, err := privatePEM(key)
	if err != nil {
		return err
	}
	c.accountKey = key
	return c.write("accounts.key", private)
}

// SignToken signs a token of a ServiceAccount as the API server itself would, with any expiry, in the past too. It is refused from
// ExpiryLeeway after its expiry at the latest; one that expired more than a minute ago, at once.
func (c *Cluster) SignToken(who rbacv1.Subject, expiry time.Time) string {
	c.t.Helper()
	ctx, cancel := c.limited()
	defer cancel()
	account, err := c.Client().CoreV1().ServiceAccounts(who.Namespace).Get(ctx, who.Name, metav1.GetOptions{})
	if err != nil {
		c.t.Fatalf("%s: a token for ServiceAccount %s/%s: %v", c.Name, who.Namespace, who.Name, err)
	}
	issued := time.Now().Add(-time.Hour)
	if issued.After(expiry) {
		issued = expiry.Add(-time.Hour)
	}
	token, err := signJWT(c.accountKey, map[string]any{
		"iss": issuer, "aud": []string{issuer}, "sub": "system:serviceaccount:" + who.Namespace + ":" + who.Name, "jti": rand.Text(),
		"iat": issued.Unix(), "nbf": issued.Unix(), "exp": expiry.Unix(),
		"kubernetes.io": map[string]any{
			"namespace":      who.Namespace,
			"serviceaccount": map[string]string{"name": account.Name, "uid": string(account.UID)},
		},
	})
	if err != nil {
		c.t.Fatalf("%s: signing a token for ServiceAccount %s/%s: %v", c.Name, who.Namespace, who.Name, err)
	}
	return token
}

// signJWT signs claims by ES256 (RFC 7518, section 3.4).
func signJWT(key *ecdsa.PrivateKey, claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": "ES256", "typ": "JWT"})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	encoding := base64.RawURLEncoding
	signed := encoding.EncodeToString(header) + "." + encoding.EncodeToString(body)
	hash := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, hash[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + encoding.EncodeToString(signature), nil
}
