package envoy

import (
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// MaxRegexProgram is the largest RE2 program that an Envoy with our bootstrap
// takes in a route. Envoy's own limit is 100, which a regular expression of a few dozen
// characters can exceed; the whole RouteConfiguration is then refused.
// RE2 matches in time linear in its input whatever the size.
const MaxRegexProgram = 10_000

// layeredRuntime has the admin layer too, which an Envoy without any layers
// has: /runtime_modify keeps working.
func layeredRuntime() *bootstrapv3.LayeredRuntime {
	return &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{
		{Name: "podway", LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{
			StaticLayer: &structpb.Struct{Fields: map[string]*structpb.Value{
				"re2.max_program_size.error_level": structpb.NewNumberValue(MaxRegexProgram),
			}},
		}},
		{Name: "admin", LayerSpecifier: &bootstrapv3.RuntimeLayer_AdminLayer_{
			AdminLayer: &bootstrapv3.RuntimeLayer_AdminLayer{},
		}},
	}}
}
