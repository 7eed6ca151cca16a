//go:build ignore

// Generate reduces the custom resource definitions of the Gateway API module that go.mod requires to what the decoder
// checks, and writes them to the file that its argument names.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

var files = map[string]string{
	"GatewayClass": "gatewayclasses", "Gateway": "gateways", "HTTPRoute": "httproutes", "ReferenceGrant": "referencegrants",
}

// kept are the keywords that mean something to the decoder.
var kept = map[string]bool{
	"type": true, "properties": true, "items": true, "additionalProperties": true, "enum": true, "pattern": true, "required": true, "default": true,
	"minimum": true, "maximum": true, "minLength": true, "maxLength": true, "minItems": true, "maxItems": true, "maxProperties": true,
	"x-kubernetes-list-map-keys": true,
}

func main() {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		log.Fatal(err)
	}
	out := map[string]any{}
	for kind, file := range files {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "config/crd/standard/gateway.networking.k8s.io_"+file+".yaml"))
		if err != nil {
			log.Fatal(err)
		}
		var crd struct {
			Spec struct {
				Versions []struct {
					Name   string
					Schema struct {
						OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal(text, &crd); err != nil {
			log.Fatal(err)
		}
		for _, version := range crd.Spec.Versions {
			if version.Name != "v1" {
				continue
			}
			schema := reduce(version.Schema.OpenAPIV3Schema).(map[string]any)
			properties := schema["properties"].(map[string]any)
			for name := range properties {
				if name != "spec" {
					delete(properties, name)
				}
			}
			out[kind] = schema
		}
	}
	text, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], append(text, '\n'), 0o644); err != nil {
		log.Fatal(err)
	}
}

func reduce(schema any) any {
	in, ok := schema.(map[string]any)
	if !ok {
		return schema
	}
	out := map[string]any{}
	for key, value := range in {
		if !kept[key] {
			continue
		}
		switch key {
		case "properties":
			properties := map[string]any{}
			for name, property := range value.(map[string]any) {
				properties[name] = reduce(property)
			}
			value = properties
		case "items", "additionalProperties":
			value = reduce(value)
		case "enum": // Some are numbers.
			var values []string
			for _, v := range value.([]any) {
				values = append(values, fmt.Sprint(v))
			}
			value = values
		}
		out[key] = value
	}
	return out
}
