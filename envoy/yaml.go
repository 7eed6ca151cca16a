package envoy

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"
)

// MarshalYAML writes a message as Envoy's documentation writes it: field
// names in snake_case, sorted, the content of an Any beside its "@type". The
// same message gives the same bytes. It fails where a message in an Any is
// of a type that is not linked into the program.
func MarshalYAML(m proto.Message) ([]byte, error) {
	// protojson puts spaces in at random, on purpose; they do not survive the way into YAML.
	json, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing %s as YAML: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	out, err := yaml.JSONToYAML(json)
	if err != nil {
		return nil, fmt.Errorf("writing %s as YAML: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return out, nil
}
