package envoy

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// eachMessage calls visit for every message directly within m. What is packed
// in an Any is unpacked for the visit and packed again where the visit changed it.
func eachMessage(m protoreflect.Message, visit func(protoreflect.Message) error) error {
	if packed, ok := m.Interface().(*anypb.Any); ok {
		return unpacked(packed, visit)
	}
	var err error
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() == nil {
				return true
			}
			value.Map().Range(func(_ protoreflect.MapKey, entry protoreflect.Value) bool {
				err = visit(entry.Message())
				return err == nil
			})
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				if err = visit(value.List().Get(i).Message()); err != nil {
					break
				}
			}
		default:
			err = visit(value.Message())
		}
		return err == nil
	})
	return err
}

func unpacked(packed *anypb.Any, visit func(protoreflect.Message) error) error {
	if packed.GetTypeUrl() == "" {
		return nil
	}
	content, err := packed.UnmarshalNew()
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", packed.TypeUrl, err)
	}
	before := proto.Clone(content)
	if err := visit(content.ProtoReflect()); err != nil {
		return err
	}
	if proto.Equal(before, content) {
		return nil
	}
	repacked, err := pack(content)
	if err != nil {
		return err
	}
	packed.Value = repacked.Value
	return nil
}
