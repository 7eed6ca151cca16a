package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
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
	"github.com/podway/podway/envoy"
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
		loaded, err := load([]string{filepath.Join(docs, directory)}, files.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range loaded.problems() {
			t.Errorf("docs/%s: %v", directory, problem)
		}
	}
}

// TestReadmeShowsWhatIsPrinted runs the commands of the README that need no Envoy.
func TestReadmeShowsWhatIsPrinted(t *testing.T) {
	t.Chdir("../..")
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"validate docs/quickstart", "tunnels --config docs/quickstart"} {
		var out bytes.Buffer
		run(t.Context(), strings.Fields(line), nil, &out, io.Discard)
		shown := "    $ podway " + line + "\n    " + strings.ReplaceAll(strings.TrimSuffix(out.String(), "\n"), "\n", "\n    ") + "\n"
		if !strings.Contains(string(readme), shown) {
			t.Errorf("README.md does not show:\n%s", shown)
		}
	}
}

// TestRealEnvoyAcceptsWhatIsRendered gives static configurations to a real Envoy to validate.
func TestRealEnvoyAcceptsWhatIsRendered(t *testing.T) {
	path, err := envoy.Find()
	if err != nil {
		t.Fatal(err)
	}
	for _, directory := range []string{docs + "/examples", docs + "/quickstart", "testdata/base"} {
		file := filepath.Join(t.TempDir(), "static.yaml")
		var out, stderr bytes.Buffer
		if code := run(t.Context(), []string{"render", "--config", directory, "--gateway", "edge/front", "--bootstrap"}, nil, &out, &stderr); code != exitOK {
			t.Fatalf("%s: exit code %d: %s", directory, code, &stderr)
		}
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := exec.CommandContext(t.Context(), path, "--mode", "validate", "-c", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", directory, err, said)
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
			if state.Config.Objects() == 0 {
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
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, match := range regexp.MustCompile("`([A-Za-z0-9]+)`").FindAllStringSubmatch(cells[1], -1) {
			documented = append(documented, match[1])
		}
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

// codesInSource returns the codes of podway's own packages: constants called Code, fields of that name, and what the helpers that
// make a Problem are given.
func codesInSource(t *testing.T) []string {
	t.Helper()
	codes := []string{"MissingSecret", "MissingConfigMap"} // put together of "Missing" and a kind
	for _, directory := range []string{
		"api", "api/pki", "api/v1alpha1", "watcher", "watcher/brake", "watcher/credential", "watcher/files", "watcher/fleet", "watcher/slices", "translator", "xds", "holdback", "cmd/podway", "cmd/podway/controlplane",
	} {
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
	add := func(expressions ...ast.Expr) {
		for _, expression := range expressions {
			if literal, ok := expression.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text := strings.Trim(literal.Value, "\"`"); codeShape.MatchString(text) {
					codes = append(codes, text)
					return
				}
			}
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.ValueSpec:
			for i, name := range node.Names {
				if rest, ok := strings.CutPrefix(strings.ToLower(name.Name), "code"); ok && rest != "" && i < len(node.Values) {
					add(node.Values[i])
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := node.Key.(*ast.Ident); ok && strings.EqualFold(key.Name, "code") {
				add(node.Value)
			}
		case *ast.CallExpr: // problem("Code", field, ...), f.routeProblem(route, "Code", ...)
			if strings.HasSuffix(strings.ToLower(nameOf(node.Fun)), "problem") || nameOf(node.Fun) == "problemOf" {
				add(node.Args...)
			}
		case *ast.CompositeLit: // fault{"Code", "what is wrong", "what to do"}
			if name := nameOf(node.Type); name == "fault" || strings.HasSuffix(name, "Problem") {
				add(node.Elts...)
			}
		}
		return true
	})
	return codes
}

// nameOf is the last part of the name of a function or type.
func nameOf(expression ast.Expr) string {
	switch expression := expression.(type) {
	case *ast.Ident:
		return expression.Name
	case *ast.SelectorExpr:
		return expression.Sel.Name
	}
	return ""
}

var codeShape = regexp.MustCompile(`^[A-Z][A-Za-z0-9]+$`)
