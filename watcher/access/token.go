package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/watcher/credential"
)

// ErrNotRenewable is of a credential that is no token of a ServiceAccount: nobody but who made it can make another one.
var ErrNotRenewable = errors.New("it has no token of a ServiceAccount")

// token asks for a token of a ServiceAccount. The server may give it a shorter life than asked for.
func (c *client) token(ctx context.Context, account types.NamespacedName, lifetime time.Duration, audiences []string) (string, error) {
	seconds := int64(lifetime / time.Second)
	asked := authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds}}
	asked.APIVersion, asked.Kind = "authentication.k8s.io/v1", "TokenRequest"
	var answer authenticationv1.TokenRequest
	err := c.do(ctx, request{method: http.MethodPost, path: serviceAccounts.path(account.Namespace, account.Name) + "/token", body: asked}, &answer)
	if err != nil {
		return "", err
	}
	if answer.Status.Token == "" {
		return "", errors.New("the answer has no token")
	}
	return answer.Status.Token, nil
}

// Renew returns the credential with a new token of the same ServiceAccount, for the same audiences and as long as the old one
// was made for. config is what to connect with, such as the credential's own RESTConfig with a user agent; nil is just that.
// The old token stays good until it expires. The error is ErrNotRenewable where the token is not that of a ServiceAccount.
func Renew(ctx context.Context, config *rest.Config, old *credential.Credential) (*credential.Credential, error) {
	if old.ServiceAccount.Name == "" {
		return nil, fmt.Errorf("renewing the credential for %s: %w", old.Server, ErrNotRenewable)
	}
	if config == nil {
		config = old.RESTConfig()
	}
	c, err := newClient(config)
	if err != nil {
		return nil, err
	}
	defer c.close()
	lifetime := DefaultTokenLifetime
	if own := old.TokenLifetime(); own > 0 {
		lifetime = min(max(own, MinTokenLifetime), MaxTokenLifetime)
	}
	token, err := c.token(ctx, old.ServiceAccount, lifetime, old.Audiences)
	if err != nil {
		return nil, fmt.Errorf("renewing the token of ServiceAccount %s: %w", old.ServiceAccount, err)
	}
	renewed := old.WithToken(token)
	if renewed.ServiceAccount != old.ServiceAccount {
		return nil, fmt.Errorf("renewing the token of ServiceAccount %s: the API server has given a token of somebody else", old.ServiceAccount)
	}
	return renewed, nil
}
