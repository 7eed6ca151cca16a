package files

import (
	"fmt"
	"strings"

	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podway/podway/api"
)

// checkMetadata checks what every object has, and sets the namespace.
func checkMetadata(content map[string]any, k *kind, id identity) []api.Problem {
	metadata, _ := content["metadata"].(map[string]any)
	if metadata == nil {
		return nil
	}
	var problems []api.Problem
	refuse := func(code, field, message, remedy string) {
		problems = append(problems, api.Problem{Code: code, Severity: api.Error, Field: field, Message: message, Remedy: remedy})
	}
	check := validation.IsDNS1123Subdomain
	if k.labelName {
		check = validation.IsDNS1123Label
	}
	if wrong := check(id.name); len(wrong) > 0 {
		refuse(api.CodeInvalidName, "metadata.name", fmt.Sprintf("%q is no name of a %s", id.name, k.name), "use lower case letters, digits, '-' and '.', as DNS names do")
	}
	if !k.namespaced {
		if namespace, ok := metadata["namespace"].(string); ok && namespace != "" {
			refuse(api.CodeInvalidName, "metadata.namespace", fmt.Sprintf("a %s has no namespace", k.name), "remove metadata.namespace")
		}
	} else {
		if wrong := validation.IsDNS1123Label(id.namespace); len(wrong) > 0 {
			refuse(api.CodeInvalidName, "metadata.namespace", fmt.Sprintf("%q is no name of a namespace", id.namespace), "use lower case letters, digits and '-', at most 63")
		}
		metadata["namespace"] = id.namespace
	}
	labels := map[string]string{}
	raw, _ := metadata["labels"].(map[string]any)
	for key, value := range raw {
		if text, ok := value.(string); ok {
			labels[key] = text
		}
	}
	for _, wrong := range metav1validation.ValidateLabels(labels, field.NewPath("metadata", "labels")) {
		detail, _, _ := strings.Cut(wrong.Detail, " (e.g. ")
		refuse(api.CodeInvalidValue, wrong.Field, fmt.Sprintf("the label %v is not valid: %s", wrong.BadValue, detail), "correct the label")
	}
	return problems
}
