package kubetest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequestsAreReadOffTheirPath(t *testing.T) {
	for asked, want := range map[string]Request{
		"GET /readyz":                 {Verb: "get"},
		"GET /apis":                   {Verb: "get"},
		"GET /api/v1":                 {Verb: "get"},
		"GET /apis/apps/v1":           {Verb: "get"},
		"GET /api/v1/services":        {Verb: "list", Resource: "services"},
		"GET /api/v1/pods?watch=true": {Verb: "watch", Resource: "pods"},
		"GET /api/v1/namespaces/shop/services?watch=1":                      {Verb: "watch", Namespace: "shop", Resource: "services"},
		"GET /apis/discovery.k8s.io/v1/endpointslices?watch=false":          {Verb: "list", Group: "discovery.k8s.io", Resource: "endpointslices"},
		"GET /apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web1": {Verb: "get", Group: "discovery.k8s.io", Namespace: "shop", Resource: "endpointslices", Name: "web1"},
		"GET /api/v1/namespaces":                                            {Verb: "list", Resource: "namespaces"},
		"GET /api/v1/namespaces/kube-system":                                {Verb: "get", Resource: "namespaces", Name: "kube-system"},
		"PUT /api/v1/namespaces/shop/status":                                {Verb: "update", Resource: "namespaces", Name: "shop", Subresource: "status"},
		"POST /api/v1/namespaces/shop/serviceaccounts/podway/token":         {Verb: "create", Namespace: "shop", Resource: "serviceaccounts", Name: "podway", Subresource: "token"},
		"DELETE /api/v1/namespaces/shop/pods":                               {Verb: "deletecollection", Namespace: "shop", Resource: "pods"},
		"DELETE /api/v1/namespaces/shop/pods/web-1":                         {Verb: "delete", Namespace: "shop", Resource: "pods", Name: "web-1"},
		"PATCH /apis/apps/v1/namespaces/shop/deployments/web":               {Verb: "patch", Group: "apps", Namespace: "shop", Resource: "deployments", Name: "web"},
	} {
		t.Run(asked, func(t *testing.T) {
			var method, target string
			for i, r := range asked {
				if r == ' ' {
					method, target = asked[:i], asked[i+1:]
				}
			}
			request := httptest.NewRequest(method, target, http.NoBody)
			request.Header.Set("Authorization", "Bearer secret")
			got := parseRequest(request)
			require.Equal(t, "secret", got.Token)
			got.Token, got.Path, got.Query = "", "", ""
			require.Equal(t, want, got)
		})
	}
}
