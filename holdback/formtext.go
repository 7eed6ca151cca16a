package holdback

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// fingerprint tells a form from those that are not the same (sameForm). There is none of a Secret.
func fingerprint(form any) (string, error) {
	says := saysOf(form)
	if says == nil {
		return "", fmt.Errorf("a %T is not remembered", form)
	}
	text, err := json.Marshal(says)
	return fmt.Sprintf("%x", sha256.Sum256(text)), err
}

// encodeForm writes no more of a form than resources are made from, without status and annotations; nothing for nil. A Secret is not written.
func encodeForm(form any) ([]byte, error) {
	switch form := form.(type) {
	case nil:
		return nil, nil
	case *v1alpha1.Tunnel:
		return json.Marshal(&v1alpha1.Tunnel{ObjectMeta: identityOf(&form.ObjectMeta), Spec: form.Spec})
	case *v1alpha1.GatewayParameters:
		return json.Marshal(&v1alpha1.GatewayParameters{ObjectMeta: identityOf(&form.ObjectMeta), Spec: form.Spec})
	case *gatewayv1.HTTPRoute:
		return json.Marshal(&gatewayv1.HTTPRoute{ObjectMeta: identityOf(&form.ObjectMeta), Spec: form.Spec})
	case *gatewayv1.Listener:
		return json.Marshal(form)
	}
	return nil, fmt.Errorf("a %T is not remembered", form)
}

func identityOf(meta *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: meta.Namespace, Name: meta.Name, Generation: meta.Generation, CreationTimestamp: meta.CreationTimestamp,
	}
}

// decodeForm reads what encodeForm wrote of a part; nothing is nil. An error says what is wrong with it.
func decodeForm(part api.Part, text []byte) (any, error) {
	if len(text) == 0 {
		return nil, nil
	}
	switch part.Kind {
	case v1alpha1.KindTunnel:
		return decodeObject(part, text, new(v1alpha1.Tunnel))
	case v1alpha1.KindGatewayParameters:
		return decodeObject(part, text, new(v1alpha1.GatewayParameters))
	case kindHTTPRoute:
		return decodeObject(part, text, new(gatewayv1.HTTPRoute))
	case kindGateway:
		listener := new(gatewayv1.Listener)
		if err := decodeStrictly(text, listener); err != nil {
			return nil, err
		}
		if string(listener.Name) != part.Listener {
			return nil, fmt.Errorf("its accepted form is that of listener %.64q", listener.Name)
		}
		return listener, nil
	}
	return nil, fmt.Errorf("a %.64s is not remembered", part.Kind)
}

// decodeObject reads an object as it is in a configuration: with defaults, and valid.
func decodeObject(part api.Part, text []byte, object metav1.Object) (any, error) {
	if err := decodeStrictly(text, object); err != nil {
		return nil, err
	}
	if object.GetNamespace() != part.Namespace || object.GetName() != part.Name {
		return nil, fmt.Errorf("its accepted form is that of %.64s/%.64s", object.GetNamespace(), object.GetName())
	}
	own, ok := object.(interface {
		SetDefaults()
		Validate() []api.Problem
	})
	if !ok {
		return object, nil
	}
	own.SetDefaults()
	for _, problem := range own.Validate() {
		if problem.Severity == api.Error {
			return nil, fmt.Errorf("its accepted form is not valid any more: %s: %s", problem.Field, problem.Message)
		}
	}
	return object, nil
}

func decodeStrictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("its accepted form cannot be read: %w", err)
	}
	return nil
}
