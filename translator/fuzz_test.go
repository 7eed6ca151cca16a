package translator

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

// FuzzTranslate feeds documents to the translation past all validation of the
// kinds, as they are and with some of their fields broken. Nothing may panic, and nothing that Envoy's protos refuse may come out.
func FuzzTranslate(f *testing.F) {
	for _, data := range goldens(f) {
		for seed := range uint64(4) {
			f.Add(data, seed, uint8(seed*5))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, breaks uint8) {
		docs, err := documents(data)
		if err != nil {
			return
		}
		docs = breakSome(docs, rand.New(rand.NewPCG(seed, 0)), int(breaks%32))
		p, err := newPicture(nil)
		if err != nil {
			t.Fatal(err)
		}
		p.unvalidated = true
		for _, doc := range docs {
			// What does not decode is left out, as a watcher does.
			_ = p.add(doc)
		}
		p.join()
		plan := Translate(p.cfg, nil)
		requireValid(t, p, plan)
		again := Translate(p.cfg, plan)
		if len(again.Problems()) != len(plan.Problems()) {
			t.Fatalf("the same picture has %d Problems, and then %d", len(plan.Problems()), len(again.Problems()))
		}
	})
}

// breakSome breaks fields of documents, each of any document that is an object with metadata.
func breakSome(docs [][]byte, random *rand.Rand, breaks int) [][]byte {
	for range breaks {
		if len(docs) == 0 {
			break
		}
		i := random.IntN(len(docs))
		object := map[string]any{}
		if yaml.Unmarshal(docs[i], &object) != nil {
			continue
		}
		if _, ok := object["metadata"].(map[string]any); !ok {
			continue
		}
		broken, _ := mutate(random, object)
		doc, err := yaml.Marshal(broken)
		if broken != nil && err == nil {
			docs[i] = doc
		}
	}
	return docs
}

// validateDeep is ValidateAll of a message and of every message packed into it.
func validateDeep(message proto.Message) error {
	if err := validateProto(message); err != nil {
		return err
	}
	if _, err := proto.Marshal(message); err != nil {
		return err
	}
	return walkAnys(message.ProtoReflect())
}

func walkAnys(message protoreflect.Message) (err error) {
	if packed, ok := message.Interface().(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			return fmt.Errorf("unpacking: %w", err)
		}
		return validateDeep(inner)
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, entry protoreflect.Value) bool {
					err = walkAnys(entry.Message())
					return err == nil
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				if err = walkAnys(value.List().Get(i).Message()); err != nil {
					return false
				}
			}
		default:
			err = walkAnys(value.Message())
		}
		return err == nil
	})
	return err
}
