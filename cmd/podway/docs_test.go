package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/files"
)

const docs = "../../docs"

// TestExamplesHaveEveryField reads the annotated examples as plain YAML and
// checks that each field of podway's own kinds is in one of them.
func TestExamplesHaveEveryField(t *testing.T) {
	for file, object := range map[string]any{
		"tunnel.yaml":            v1alpha1.TunnelSpec{},
		"membercluster.yaml":     v1alpha1.MemberClusterSpec{},
		"gatewayparameters.yaml": v1alpha1.GatewayParametersSpec{},
	} {
		data, err := os.ReadFile(filepath.Join(docs, "examples", file))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for document := range strings.SplitSeq(string(data), "\n---\n") {
			var value map[string]any
			if err := yaml.Unmarshal([]byte(document), &value); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			collectPaths("spec", value["spec"], seen)
		}
		for _, field := range fieldPaths("spec", reflect.TypeOf(object)) {
			if !seen[field] {
				t.Errorf("docs/examples/%s does not show the field %s", file, field)
			}
		}
	}
}

// collectPaths adds the paths of all fields below value, with [] for any entry of a list.
func collectPaths(path string, value any, seen map[string]bool) {
	seen[path] = true
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			collectPaths(path+"."+key, member, seen)
		}
	case []any:
		for _, member := range value {
			collectPaths(path+"[]", member, seen)
		}
	}
}

// fieldPaths returns the paths of all fields of a type, as collectPaths writes them.
func fieldPaths(path string, typ reflect.Type) []string {
	switch {
	case typ.Kind() == reflect.Pointer:
		return fieldPaths(path, typ.Elem())
	case typ.Kind() == reflect.Slice:
		return fieldPaths(path+"[]", typ.Elem())
	case typ.Kind() != reflect.Struct || typ == reflect.TypeFor[intstr.IntOrString]() || typ == reflect.TypeFor[metav1.Duration]():
		return []string{path}
	}
	paths := []string{path}
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		paths = append(paths, fieldPaths(path+"."+name, typ.Field(i).Type)...)
	}
	return paths
}

// TestExamplesAreValid validates what a newcomer copies from.
func TestExamplesAreValid(t *testing.T) {
	for _, directory := range []string{"examples", "quickstart"} {
		loaded, err := load(t.Context(), []string{filepath.Join(docs, directory)})
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range loaded.problems() {
			if problem.Code != codeClusterNotRead { // an example shows all fields, those of the future too
				t.Errorf("docs/%s: %v", directory, problem)
			}
		}
	}
}

var fence = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestDocumentedYAMLIsRead gives every block of YAML of the documentation to the real decoder. What the objects refer to is not there,
// so only the source's own Problems count.
func TestDocumentedYAMLIsRead(t *testing.T) {
	blocks := 0
	for _, path := range markdown(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range fence.FindAllSubmatch(text, -1) {
			blocks++
			file := filepath.Join(t.TempDir(), "block.yaml")
			if err := os.WriteFile(file, match[1], 0o600); err != nil {
				t.Fatal(err)
			}
			state, err := files.Load([]string{file}, files.Options{})
			if err != nil {
				t.Fatalf("%s: %v\n%s", path, err, match[1])
			}
			for _, problem := range state.Config.Problems {
				if problem.Code != api.CodeUnreadable {
					t.Errorf("%s: %v\n%s", path, problem, match[1])
				}
			}
			if countObjects(state.Config) == 0 {
				t.Errorf("%s: no object in\n%s", path, match[1])
			}
		}
	}
	if blocks < 5 {
		t.Errorf("only %d blocks of YAML were found: is the search wrong?", blocks)
	}
}

// TestLinksLeadSomewhere checks the relative links of the documentation.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, path := range markdown(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), string(match[1]))); err != nil {
				t.Errorf("%s: the link %s leads nowhere", path, match[1])
			}
		}
	}
}

func markdown(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(docs + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(paths, "../../README.md")
}

// TestEveryCodeIsDocumented finds the codes of Problems in the source and looks for each in docs/problems.md, and the other way round.
func TestEveryCodeIsDocumented(t *testing.T) {
	text, err := os.ReadFile(docs + "/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, match := range regexp.MustCompile("(?m)^\\| `([A-Za-z0-9]+)` \\|").FindAllSubmatch(text, -1) {
		documented = append(documented, string(match[1]))
	}
	inSource := codesInSource(t)
	for _, code := range inSource {
		if !slices.Contains(documented, code) {
			t.Errorf("docs/problems.md does not list the code %s", code)
		}
	}
	for _, code := range documented {
		if !slices.Contains(inSource, code) {
			t.Errorf("docs/problems.md lists the code %s, which is nowhere in the source", code)
		}
	}
}

// codesInSource returns the values of all constants whose name starts with Code or code, and all literals of
// a field Code, of podway's own packages.
func codesInSource(t *testing.T) []string {
	t.Helper()
	var codes []string
	for _, directory := range []string{"api", "api/v1alpha1", "watcher", "watcher/files", "watcher/slices", "translator", "xds", "cmd/podway"} {
		paths, err := filepath.Glob(filepath.Join("../..", directory, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if !strings.HasSuffix(path, "_test.go") {
				codes = append(codes, codesInFile(t, path)...)
			}
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

func codesInFile(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	add := func(expression ast.Expr, any bool) {
		if literal, ok := expression.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text := strings.Trim(literal.Value, "\"`"); any || codeShape.MatchString(text) {
				codes = append(codes, text)
			}
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.ValueSpec:
			for i, name := range node.Names {
				if rest, ok := strings.CutPrefix(strings.ToLower(name.Name), "code"); ok && rest != "" && i < len(node.Values) {
					add(node.Values[i], true)
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := node.Key.(*ast.Ident); ok && strings.EqualFold(key.Name, "code") {
				add(node.Value, true)
			}
		case *ast.CallExpr: // a helper that makes a Problem takes its code first
			if _, ours := node.Fun.(*ast.Ident); ours && len(node.Args) >= 3 {
				add(node.Args[0], false)
			}
			if method, ok := node.Fun.(*ast.SelectorExpr); ok && len(node.Args) >= 3 && method.Sel.Name != "Replace" {
				add(node.Args[0], false)
			}
		case *ast.CompositeLit: // fault{"Code", "what is wrong", "what to do"}
			if len(node.Elts) == 3 {
				add(node.Elts[0], false)
			}
		}
		return true
	})
	return codes
}

// codeShape is CamelCase of at least two words.
var codeShape = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*[a-z0-9][A-Z][A-Za-z0-9]*$`)
