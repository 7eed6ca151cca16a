// Package redact takes secrets out of Envoy resources before a person sees them.
package redact

import (
	"fmt"

	"github.com/cncf/xds/go/udpa/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
)

// Word stands where a secret was.
const Word = "[redacted]"

// Message returns a copy of a message without what Envoy's own API marks as
// sensitive (udpa.annotations.sensitive), such as private keys and passwords,
// at any depth and inside of Any messages too.
func Message(message proto.Message) (proto.Message, error) {
	out := proto.Clone(message)
	if err := redactMessage(out.ProtoReflect()); err != nil {
		return nil, err
	}
	return out, nil
}

func redactMessage(message protoreflect.Message) error {
	if packed, ok := message.Interface().(*anypb.Any); ok {
		if packed.GetTypeUrl() == "" {
			return nil
		}
		return redactAny(packed)
	}
	var failed error
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		failed = redactField(message, field, value)
		return failed == nil
	})
	return failed
}

func redactField(message protoreflect.Message, field protoreflect.FieldDescriptor, value protoreflect.Value) error {
	if sensitive(field) {
		blank(message, field)
		return nil
	}
	if field.IsMap() {
		if field.MapValue().Message() == nil {
			return nil
		}
		var failed error
		value.Map().Range(func(_ protoreflect.MapKey, entry protoreflect.Value) bool {
			failed = redactMessage(entry.Message())
			return failed == nil
		})
		return failed
	}
	if field.Message() == nil {
		return nil
	}
	if !field.IsList() {
		return redactMessage(value.Message())
	}
	for i := range value.List().Len() {
		if err := redactMessage(value.List().Get(i).Message()); err != nil {
			return err
		}
	}
	return nil
}

func redactAny(packed *anypb.Any) error {
	inner, err := packed.UnmarshalNew()
	if err != nil {
		return fmt.Errorf("looking into %s for secrets: %w", packed.GetTypeUrl(), err)
	}
	if err := redactMessage(inner.ProtoReflect()); err != nil {
		return err
	}
	return anypb.MarshalFrom(packed, inner, proto.MarshalOptions{Deterministic: true})
}

func sensitive(field protoreflect.FieldDescriptor) bool {
	options, ok := field.Options().(*descriptorpb.FieldOptions)
	if !ok {
		return false
	}
	marked, _ := proto.GetExtension(options, annotations.E_Sensitive).(bool)
	return marked
}

// blank puts the word in place of a secret, so that a reader sees that there
// is one; a DataSource, which is how Envoy holds them, keeps its form.
func blank(message protoreflect.Message, field protoreflect.FieldDescriptor) {
	switch {
	case field.Message() != nil && !field.IsList() && !field.IsMap():
		source := message.NewField(field)
		if inline := source.Message().Descriptor().Fields().ByName("inline_string"); inline != nil {
			source.Message().Set(inline, protoreflect.ValueOfString(Word))
		}
		message.Set(field, source)
	case field.Kind() == protoreflect.StringKind && !field.IsList():
		message.Set(field, protoreflect.ValueOfString(Word))
	default:
		message.Clear(field)
	}
}
