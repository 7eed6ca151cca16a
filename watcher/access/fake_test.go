package access

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/watcher/credential"
)

// fakeServer stands for an API server: it keeps objects by their paths, and refuses what a test says.
type fakeServer struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	objects  map[string]map[string]any
	requests []string
	// refuse answers a request in place of the server; 0 is not at all. A request is "METHOD path?query".
	refuse func(request string) (code int, reason metav1.StatusReason, message string)
	// maxLifetime caps the lifetime of tokens.
	maxLifetime time.Duration
	// asked are the token requests.
	asked []authenticationv1.TokenRequest
	// streams is whether lists come as streams.
	streams bool
}

const clusterUID = "4f1c1d8e-6a55-4d0a-9c53-1f2f0f0f3a10"

func newFakeServer(t *testing.T, namespaces ...string) *fakeServer {
	f := &fakeServer{t: t, objects: map[string]map[string]any{}, streams: true}
	f.refuse = func(string) (int, metav1.StatusReason, string) { return 0, "", "" }
	for _, name := range append(namespaces, "kube-system", "default") {
		f.put("/api/v1/namespaces/"+name, map[string]any{"kind": "Namespace", "metadata": map[string]any{"name": name, "uid": clusterUID}})
	}
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeServer) put(path string, object map[string]any) { f.objects[path] = object }

// refuseIf refuses requests that have all of the words in them.
func (f *fakeServer) refuseIf(code int, reason metav1.StatusReason, message string, words ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = func(request string) (int, metav1.StatusReason, string) {
		for _, word := range words {
			if !strings.Contains(request, word) {
				return 0, "", ""
			}
		}
		return code, reason, message
	}
}

func (f *fakeServer) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
}

// admin is the configuration of an administrator.
func (f *fakeServer) admin() *rest.Config {
	return &rest.Config{Host: f.URL, BearerToken: "admin", TLSClientConfig: rest.TLSClientConfig{CAData: f.ca()}}
}

// credential is one with a token of a ServiceAccount.
func (f *fakeServer) credential(lifetime time.Duration) *credential.Credential {
	c := &credential.Credential{Server: f.URL, CA: f.ca()}
	return c.WithToken(fakeToken("podway-access", "podway-east", lifetime, "api"))
}

func fakeToken(namespace, name string, lifetime time.Duration, audiences ...string) string {
	now := time.Now()
	payload, err := json.Marshal(map[string]any{
		"sub": "system:serviceaccount:" + namespace + ":" + name, "iat": now.Unix(), "exp": now.Add(lifetime).Unix(), "aud": audiences,
	})
	if err != nil {
		panic(err)
	}
	return "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".c2lnbmVk"
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := r.Method + " " + r.URL.Path
	f.requests = append(f.requests, line)
	if code, reason, message := f.refuse(line + "?" + r.URL.RawQuery); code != 0 {
		status(w, code, reason, message)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	path := r.URL.Path
	switch {
	case r.Header.Get("Authorization") == "":
		status(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
	case path == "/version":
		answer(w, map[string]any{"gitVersion": "v1.37.2"})
	case strings.HasSuffix(path, "/token") && r.Method == http.MethodPost:
		f.token(w, path, body)
	case r.URL.Query().Get("watch") == "true":
		f.watch(w, r)
	case r.Method == http.MethodPost:
		object := f.decode(body)
		f.put(path+"/"+nameOf(object), object)
		answer(w, object)
	case r.Method == http.MethodPatch:
		if r.Header.Get("Content-Type") != "application/apply-patch+yaml" || r.URL.Query().Get("fieldManager") != "podway" {
			f.t.Errorf("%s is no server-side apply of podway: %s %s", line, r.Header.Get("Content-Type"), r.URL.RawQuery)
		}
		f.put(path, f.decode(body))
		answer(w, f.objects[path])
	case f.objects[path] != nil && r.Method == http.MethodDelete:
		delete(f.objects, path)
		answer(w, map[string]any{"kind": "Status", "status": "Success"})
	case f.objects[path] != nil:
		answer(w, f.objects[path])
	case r.Method == http.MethodGet && isList(path):
		f.list(w, r)
	default:
		status(w, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%q not found", path[strings.LastIndex(path, "/")+1:]))
	}
}

func (f *fakeServer) decode(body []byte) map[string]any {
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		f.t.Error(err)
	}
	return object
}

func nameOf(object map[string]any) string {
	meta, _ := object["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	return name
}

// isList says whether a path is that of a resource, and not of an object.
func isList(path string) bool {
	last := path[strings.LastIndex(path, "/")+1:]
	return slices.Contains([]string{
		"services", "pods", "endpointslices", "serviceaccounts", "secrets", "configmaps", "roles", "rolebindings", "clusterroles", "clusterrolebindings",
	}, last)
}

// list answers with the objects of a resource, one a page.
func (f *fakeServer) list(w http.ResponseWriter, r *http.Request) {
	resource := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	namespace := strings.TrimSuffix(r.URL.Path, "/"+resource)
	selector := map[string]string{}
	for term := range strings.SplitSeq(r.URL.Query().Get("labelSelector"), ",") {
		if key, value, ok := strings.Cut(term, "="); ok {
			selector[key] = value
		}
	}
	var found []map[string]any
	for _, path := range slices.Sorted(maps.Keys(f.objects)) {
		parent := path[:strings.LastIndex(path, "/")]
		if !strings.HasSuffix(parent, "/"+resource) || strings.Contains(namespace, "/namespaces/") && strings.TrimSuffix(parent, "/"+resource) != namespace {
			continue
		}
		meta, _ := f.objects[path]["metadata"].(map[string]any)
		labels, _ := meta["labels"].(map[string]any)
		matches := true
		for key, value := range selector {
			matches = matches && labels[key] == value
		}
		if matches {
			found = append(found, f.objects[path])
		}
	}
	metadata := map[string]any{"resourceVersion": "7"}
	at := 0
	_, _ = fmt.Sscan(r.URL.Query().Get("continue"), &at)
	if at+1 < len(found) {
		metadata["continue"] = fmt.Sprint(at + 1)
	}
	found = found[min(at, len(found)):min(at+1, len(found))]
	answer(w, map[string]any{"kind": "List", "metadata": metadata, "items": found})
}

func (f *fakeServer) watch(w http.ResponseWriter, r *http.Request) {
	initial := r.URL.Query().Get("sendInitialEvents") == "true"
	if initial && !f.streams {
		status(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "sendInitialEvents is forbidden for watch")
		return
	}
	event := map[string]any{"type": "BOOKMARK", "object": map[string]any{"metadata": map[string]any{"resourceVersion": "7"}}}
	if initial {
		event["object"] = map[string]any{"metadata": map[string]any{"annotations": map[string]string{"k8s.io/initial-events-end": "true"}}}
	}
	answer(w, event)
}

func (f *fakeServer) token(w http.ResponseWriter, path string, body []byte) {
	var asked authenticationv1.TokenRequest
	if err := json.Unmarshal(body, &asked); err != nil {
		f.t.Error(err)
	}
	f.asked = append(f.asked, asked)
	lifetime := time.Duration(*asked.Spec.ExpirationSeconds) * time.Second
	if f.maxLifetime > 0 {
		lifetime = min(lifetime, f.maxLifetime)
	}
	parts := strings.Split(path, "/")
	asked.Status.Token = fakeToken(parts[4], parts[6], lifetime, asked.Spec.Audiences...)
	answer(w, asked)
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func status(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}
