package translator

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	podslices "github.com/podway/podway/watcher/slices"
)

// A picture is a whole input in one file of YAML documents. Beside podway's and
// Gateway API's kinds it has the objects of member clusters: a Service,
// EndpointSlice or Pod with the annotation podway.dev/cluster: NAME is that
// cluster's. A MemberCluster with the annotation podway.dev/unsynced has not synced, and of one with podway.dev/remembered, what is known is of before a
// restart.
//
// A value of a Secret's stringData or a ConfigMap's data that begins with @
// stands for a file of PEM, so that no key is in the repository:
//
//	@certificate NAME [expired|future]   a certificate for that DNS name, signed by the test authority
//	@key NAME                            the key that belongs to it
//	@authority [expired]                 the certificate of the test authority
type picture struct {
	cfg  *snapshot.Config
	sets map[pods.ServiceKey]*pods.Set

	services map[pods.ServiceKey]*corev1.Service
	slices   map[pods.ServiceKey][]*podslices.Slice
	labels   map[string]map[types.NamespacedName]map[string]string
	// unvalidated takes also objects that their own validation refuses.
	unvalidated bool
}

// gatewayClass begins the YAML of a picture with the class that podway serves.
const gatewayClass = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: podway}
spec: {controllerName: podway.dev/gateway-controller}
---
`

// testNow is when every picture is taken.
var testNow = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func (p *picture) live(key pods.ServiceKey) *pods.Set {
	if !p.cfg.Synced[key.Cluster].Covers(key.Namespace) {
		return nil
	}
	if set := p.sets[key]; set != nil {
		return set
	}
	return &pods.Set{Key: key}
}

// documents splits a file of YAML.
func documents(data []byte) ([][]byte, error) {
	reader := utilyaml.NewYAMLReader(newLineReader(data))
	var docs [][]byte
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(doc)) > 0 {
			docs = append(docs, doc)
		}
	}
}

func mustPicture(tb testing.TB, data []byte) *picture {
	tb.Helper()
	docs, err := documents(data)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := newPicture(docs)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// newPicture decodes documents. Objects that their own validation refuses are left out, with its Problems.
func newPicture(docs [][]byte) (*picture, error) {
	p := &picture{
		cfg: &snapshot.Config{
			Tunnels:           map[types.NamespacedName]*v1alpha1.Tunnel{},
			MemberClusters:    map[string]*v1alpha1.MemberCluster{},
			GatewayParameters: map[types.NamespacedName]*v1alpha1.GatewayParameters{},
			GatewayClasses:    map[string]*gatewayv1.GatewayClass{},
			Gateways:          map[types.NamespacedName]*gatewayv1.Gateway{},
			HTTPRoutes:        map[types.NamespacedName]*gatewayv1.HTTPRoute{},
			ReferenceGrants:   map[types.NamespacedName]*gatewayv1.ReferenceGrant{},
			Namespaces:        map[string]*corev1.Namespace{},
			Secrets:           map[types.NamespacedName]*corev1.Secret{},
			ConfigMaps:        map[types.NamespacedName]*corev1.ConfigMap{},
			Services:          map[pods.ServiceKey]*pods.Service{},
			Synced:            map[string]*snapshot.Scope{},
			Now:               testNow,
		},
		sets:     map[pods.ServiceKey]*pods.Set{},
		services: map[pods.ServiceKey]*corev1.Service{},
		slices:   map[pods.ServiceKey][]*podslices.Slice{},
		labels:   map[string]map[types.NamespacedName]map[string]string{},
	}
	for _, doc := range docs {
		if err := p.add(doc); err != nil {
			return nil, err
		}
	}
	p.join()
	return p, nil
}

func (p *picture) add(doc []byte) error {
	var head struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
	}
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return err
	}
	name := types.NamespacedName{Namespace: head.Namespace, Name: head.Name}
	cluster := head.Annotations["podway.dev/cluster"]
	service := pods.ServiceKey{Cluster: cluster, Namespace: head.Namespace, Name: head.Name}
	switch head.Kind {
	case "Tunnel":
		return decode(doc, func(t *v1alpha1.Tunnel) {
			t.SetDefaults()
			if p.accepted(t.Validate()) {
				p.cfg.Tunnels[name] = t
			}
		})
	case "MemberCluster":
		return decode(doc, func(m *v1alpha1.MemberCluster) {
			m.SetDefaults()
			if p.accepted(m.Validate()) {
				p.cfg.MemberClusters[head.Name] = m
				_, unsynced := head.Annotations["podway.dev/unsynced"]
				_, remembered := head.Annotations["podway.dev/remembered"]
				if !unsynced {
					p.cfg.Synced[head.Name] = &snapshot.Scope{All: true, Remembered: remembered}
				}
			}
		})
	case "GatewayParameters":
		return decode(doc, func(g *v1alpha1.GatewayParameters) {
			g.SetDefaults()
			if p.accepted(g.Validate()) {
				p.cfg.GatewayParameters[name] = g
			}
		})
	case "GatewayClass":
		return decode(doc, func(c *gatewayv1.GatewayClass) { p.cfg.GatewayClasses[head.Name] = c })
	case "Gateway":
		return decode(doc, func(g *gatewayv1.Gateway) { p.cfg.Gateways[name] = g })
	case "HTTPRoute":
		return decode(doc, func(r *gatewayv1.HTTPRoute) { p.cfg.HTTPRoutes[name] = r })
	case "ReferenceGrant":
		return decode(doc, func(g *gatewayv1.ReferenceGrant) { p.cfg.ReferenceGrants[name] = g })
	case "Namespace":
		return decode(doc, func(n *corev1.Namespace) { p.cfg.Namespaces[head.Name] = n })
	case "Secret":
		return decode(doc, func(s *corev1.Secret) { p.cfg.Secrets[name] = withPEM(s) })
	case "ConfigMap":
		return decode(doc, func(c *corev1.ConfigMap) {
			for key, value := range c.Data {
				c.Data[key] = testPEM(value)
			}
			p.cfg.ConfigMaps[name] = c
		})
	case "Service":
		return decode(doc, func(s *corev1.Service) { p.services[service] = s })
	case "EndpointSlice":
		return decode(doc, func(s *discoveryv1.EndpointSlice) {
			service.Name = s.Labels[discoveryv1.LabelServiceName]
			p.slices[service] = append(p.slices[service], podslices.NewSlice(s))
		})
	case "Pod":
		if p.labels[cluster] == nil {
			p.labels[cluster] = map[types.NamespacedName]map[string]string{}
		}
		p.labels[cluster][name] = head.Labels
		return nil
	}
	return fmt.Errorf("a picture has no kind %q", head.Kind)
}

func decode[T any](doc []byte, use func(*T)) error {
	object := new(T)
	if err := yaml.UnmarshalStrict(doc, object); err != nil {
		return err
	}
	use(object)
	return nil
}

func (p *picture) accepted(problems []api.Problem) bool {
	p.cfg.Problems = append(p.cfg.Problems, problems...)
	return p.unvalidated || !slices.ContainsFunc(problems, func(problem api.Problem) bool { return problem.Severity == api.Error })
}

// join makes Services and sets, as a watcher does.
func (p *picture) join() {
	var joiner podslices.Joiner
	for key, service := range p.services {
		if !p.cfg.Synced[key.Cluster].Covers(key.Namespace) {
			continue
		}
		p.cfg.Services[key] = podslices.Service(key.Cluster, service)
		p.sets[key] = joiner.Join(p.cfg.Services[key], p.slices[key], func(pod types.NamespacedName) map[string]string {
			return p.labels[key.Cluster][pod]
		})
	}
}

func withPEM(s *corev1.Secret) *corev1.Secret {
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for key, value := range s.StringData {
		s.Data[key] = []byte(testPEM(value))
	}
	s.StringData = nil
	return s
}

// testPEMs remembers what was made: signing takes time.
var testPEMs sync.Map

// testPEM is what a value stands for. The same words give the same bytes.
func testPEM(value string) string {
	if !strings.HasPrefix(value, "@") {
		return value
	}
	if made, ok := testPEMs.Load(value); ok {
		return made.(string)
	}
	made := makeTestPEM(value)
	testPEMs.Store(value, made)
	return made
}

func makeTestPEM(value string) string {
	words := strings.Fields(value)
	switch {
	case len(words) >= 1 && words[0] == "@authority":
		return certificatePEM("podway test authority", words[1:])
	case len(words) >= 2 && words[0] == "@certificate":
		return certificatePEM(words[1], words[2:])
	case len(words) == 2 && words[0] == "@key":
		der, err := x509.MarshalPKCS8PrivateKey(testKey(words[1]))
		if err != nil {
			panic(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return value
}

// testKey is a key that depends on its name alone.
func testKey(name string) *ecdsa.PrivateKey {
	seed := sha256.Sum256([]byte("podway test key of " + name))
	seed[0] = 0 // below the order of the curve
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		panic(err)
	}
	return key
}

func certificatePEM(name string, options []string) string {
	const authority = "podway test authority"
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: testNow.AddDate(-5, 0, 0), NotAfter: testNow.AddDate(5, 0, 0),
		IsCA: name == authority, BasicConstraintsValid: true,
	}
	if name == authority {
		template.KeyUsage = x509.KeyUsageCertSign
	} else {
		template.DNSNames = []string{name}
	}
	switch {
	case slices.Contains(options, "expired"):
		template.NotAfter = testNow.AddDate(-1, 0, 0)
	case slices.Contains(options, "future"):
		template.NotBefore = testNow.AddDate(1, 0, 0)
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: authority}}
	// Without a source of randomness, ECDSA signs as in RFC 6979: the same bytes each time.
	der, err := x509.CreateCertificate(nil, template, parent, testKey(name).Public(), deterministic{testKey(authority)})
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
