package redact_test

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/podway/podway/api/redact"
	"github.com/podway/podway/envoy"
)

// TestRedactLeavesNoSecret puts secrets where Envoy has them, also inside of an Any, and looks for them afterwards.
func TestRedactLeavesNoSecret(t *testing.T) {
	inline := func(text string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}
	}
	certificate := &tlsv3.TlsCertificate{CertificateChain: inline("public"), PrivateKey: inline("SESAME"), Password: inline("SESAME")}
	context, err := anypb.New(&tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{TlsCertificates: []*tlsv3.TlsCertificate{certificate}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string]proto.Message{
		"certificate": &tlsv3.Secret{Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: certificate}},
		"tickets": &tlsv3.Secret{Type: &tlsv3.Secret_SessionTicketKeys{SessionTicketKeys: &tlsv3.TlsSessionTicketKeys{
			Keys: []*corev3.DataSource{inline("SESAME")},
		}}},
		"generic": &tlsv3.Secret{Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{Secret: inline("SESAME")}}},
		"cluster": &clusterv3.Cluster{TransportSocket: &corev3.TransportSocket{
			Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: context},
		}},
	} {
		before := proto.Clone(message)
		out, err := redact.Message(message)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(before, message) {
			t.Errorf("%s: Message changed its input", name)
		}
		text, err := envoy.MarshalYAML(out)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "SESAME") {
			t.Errorf("%s: a secret is left:\n%s", name, text)
		}
		if name == "cluster" && (!strings.Contains(string(text), "public") || !strings.Contains(string(text), redact.Word)) {
			t.Errorf("%s: too much is gone:\n%s", name, text)
		}
	}
}
