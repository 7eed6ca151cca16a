package files

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
)

var httpbin = pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "httpbin"}

func edge(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "edge", Name: name}
}

func TestLoadReadsEveryKindInAnyOrder(t *testing.T) {
	dir := directory(t, map[string]string{
		"z.yml": tunnel("a", "50"),
		"a.json": `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "edge"}, "type": "kubernetes.io/tls",
			"data": {"tls.crt": "Y3J0"}, "stringData": {"tls.key": "key"}}`,
		"deep/er/list.yaml": `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: edge, labels: {a: b}}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: ca}, data: {ca.crt: x}}
`,
		"tunnels.yaml":           "apiVersion: podway.dev/v1alpha1\nkind: TunnelList\nitems:\n- metadata: {name: b, namespace: edge}\n  spec: {addresses: [{address: 192.0.2.1, port: 80}]}\n",
		"c.yaml":                 memberCluster("east") + "---\napiVersion: podway.dev/v1alpha1\nkind: GatewayParameters\nmetadata: {name: p, namespace: edge}\nspec: {}\n",
		"east/objects.yaml":      objects("10.0.0.1"),
		"notes.txt":              "not: read",
		".hidden.yaml":           "{",
		".git/config.yaml":       "{",
		"..2024/also-hidden.yml": "{",
	})
	state := load(t, dir)
	require.Empty(t, problemsOf(state, dir))
	config := state.Config
	require.EqualValues(t, 50, *config.Tunnels[edge("a")].Spec.Services[0].PodWeight)
	require.EqualValues(t, 100, *config.Tunnels[edge("b")].Spec.Addresses[0].Weight, "defaults are set")
	require.Equal(t, "podway.dev/v1alpha1", config.Tunnels[edge("b")].APIVersion)
	require.Equal(t, "0.0.0.0", config.GatewayParameters[edge("p")].Spec.ListenAddress)
	require.Equal(t, map[string][]byte{"tls.crt": []byte("crt"), "tls.key": []byte("key")}, config.Secrets[edge("s")].Data)
	require.Empty(t, config.Secrets[edge("s")].StringData)
	require.Equal(t, corev1.SecretTypeTLS, config.Secrets[edge("s")].Type)
	require.Equal(t, map[string]string{"a": "b", "kubernetes.io/metadata.name": "edge"}, config.Namespaces["edge"].Labels)
	require.Contains(t, config.ConfigMaps, types.NamespacedName{Namespace: "default", Name: "ca"}, "an object without a namespace is in default")
	require.WithinDuration(t, time.Now(), config.Now, time.Minute)

	require.True(t, config.Synced["east"].All)
	require.Equal(t, []pods.ServicePort{{Name: "http", Port: 8000, Protocol: "TCP"}}, config.Services[httpbin].Ports)
	require.Equal(t, 3, config.Origins[api.ObjectRef{Cluster: "east", Kind: "Service", Namespace: "default", Name: "httpbin"}].Line)
	set := state.Pods[httpbin]
	require.Len(t, set.Pods, 1)
	require.Equal(t, "10.0.0.1", set.Pods[0].Address.String())
	require.Equal(t, map[string]string{"app": "httpbin", "version": "v1"}, set.Pods[0].Labels)
	require.Equal(t, state.Pods, state.Changed)
	require.Empty(t, state.Gone)
}

func TestLoadJoinsPaths(t *testing.T) {
	one := directory(t, map[string]string{"a.yaml": tunnel("a", "50"), "b.yaml": tunnel("b", "50")})
	two := directory(t, map[string]string{"a.yaml": tunnel("a", "60") + "---\n" + memberCluster("east"), "east/objects.yaml": objects("10.0.0.1")})
	state, err := Load([]string{one + "/a.yaml", two, one, two + "/a.yaml"}, Options{})
	require.NoError(t, err)
	require.Len(t, state.Config.Tunnels, 2)
	require.EqualValues(t, 50, *state.Config.Tunnels[edge("a")].Spec.Services[0].PodWeight)
	require.Equal(t, []string{
		fmt.Sprintf("%s/a.yaml:1: error DuplicateObject: Tunnel edge/a: the object is also at %s/a.yaml:1, which is the one in force; remove one of the two", two, one),
	}, problemsOf(state, "-"))
	require.Len(t, state.Pods, 1, "the objects are relative to their own root")
	// A file alone finds the directory beside it.
	state, err = Load([]string{two + "/a.yaml"}, Options{})
	require.NoError(t, err)
	require.Len(t, state.Pods, 1)
}

func TestLoadOfNothing(t *testing.T) {
	_, err := Load(nil, Options{})
	require.EqualError(t, err, "no path to read was given")
	_, err = Load([]string{"/no/such/directory"}, Options{})
	require.EqualError(t, err, "/no/such/directory cannot be read: no such file or directory")
	state := load(t, t.TempDir())
	require.Empty(t, state.Config.Problems)
	require.NotNil(t, state.Config.Tunnels)
}

func TestLimits(t *testing.T) {
	dir := directory(t, map[string]string{
		"a.yaml":            memberCluster("east") + "---\n" + tunnel("a", "50"),
		"b.yaml":            tunnel("b", "50"),
		"big.yaml":          "# " + strings.Repeat("x", 1000),
		"east/objects.yaml": objects("10.0.0.1"),
		"east/z.yaml":       "# " + strings.Repeat("x", 3000),
	})
	state, err := Load([]string{dir}, Options{MaxFileBytes: 1000, MaxObjectFileBytes: 3000, MaxObjects: 2})
	require.NoError(t, err)
	require.Equal(t, []string{
		"b.yaml: error TooLarge: with this file there are 3 objects; at most 2 are read; remove objects that no tunnel uses",
		"big.yaml: error TooLarge: the file has 1002 bytes; at most 1000 are read; split it into several files",
		"east/objects.yaml: error TooLarge: with this file there are 3 objects; at most 2 are read; remove objects that no tunnel uses",
		"east/z.yaml: error TooLarge: the file has 3002 bytes; at most 3000 are read; split it into several files",
	}, problemsOf(state, dir))

	state, err = Load([]string{dir}, Options{MaxFiles: 1})
	require.NoError(t, err)
	require.Equal(t, []string{
		dir + ": error TooLarge: there are 3 files below the directory; only the first 1 are read; put many objects into one file",
		"east: error TooLarge: there are 2 files below the directory; only the first 1 are read; put many objects into one file",
	}, problemsOf(state, dir))
}

func TestSymbolicLinks(t *testing.T) {
	outside := directory(t, map[string]string{"a.yaml": tunnel("outside", "50")})
	dir := directory(t, map[string]string{"real/a.yaml": tunnel("a", "50")})
	for link, target := range map[string]string{
		"real/loop": "..", "self": ".", "again": "real", "b.yaml": "real/a.yaml", "out.yaml": outside + "/a.yaml", "out": outside, "nowhere.yaml": "missing.yaml",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	state := load(t, dir)
	require.Equal(t, []string{
		"nowhere.yaml: error Unreadable: the symbolic link leads nowhere: no such file or directory; correct or remove the link",
		"out.yaml: error Unreadable: the symbolic link leads out of the directory, and is not followed; copy the file into the directory",
	}, problemsOf(state, dir))
	require.Len(t, state.Config.Tunnels, 1)
}

func TestProblemsOfObjects(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  []string
		// pods is how many Services are there.
		services int
	}{
		{
			name: "no directory", files: map[string]string{},
			want: []string{"east: error Unreadable: MemberCluster east spec.source.objects.directory: the objects of cluster east cannot be read: no such file or directory; put them into that directory below the configuration directory"},
		},
		{
			name: "no directory, but a file", files: map[string]string{"east": "x"},
			want: []string{"east: error Unreadable: MemberCluster east spec.source.objects.directory: the objects of cluster east cannot be read: it is not a directory; put them into that directory below the configuration directory"},
		},
		{name: "documents", files: map[string]string{"east/a.yaml": documentsOf(objects("10.0.0.1"))}, services: 1},
		{name: "JSON", files: map[string]string{"east/a.json": `{"kind": "List", "apiVersion": "v1", "items": [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "httpbin"}}]}`}, services: 1},
		{name: "List of a kind, in flow style", files: map[string]string{"east/a.yaml": `{kind: ServiceList, apiVersion: v1, items: [{apiVersion: v1, kind: Service, metadata: {name: httpbin}, unknown: field}]}`}, services: 1},
		{name: "an empty List", files: map[string]string{"east/a.yaml": "apiVersion: v1\nitems: []\nkind: List\n"}},
		{
			name: "other kinds", files: map[string]string{"east/a.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}\n- {apiVersion: apps/v1, kind: Deployment, metadata: {name: b}}\n- {apiVersion: v1, kind: Service, metadata: {name: httpbin}}\n"},
			want: []string{"east/a.yaml:4: warning UnknownKind: objects of kind Deployment are not read from the objects of cluster east; keep only Service, EndpointSlice and Pod objects there"}, services: 1,
		},
		{
			name: "a version that is gone", files: map[string]string{"east/a.yaml": "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\nmetadata: {name: a}\n"},
			want: []string{"east/a.yaml:1: error UnknownKind: EndpointSlice east:default/a apiVersion: podway reads a EndpointSlice of discovery.k8s.io/v1, not of discovery.k8s.io/v1beta1; save the object as discovery.k8s.io/v1"},
		},
		{
			name: "wrong type", files: map[string]string{"east/a.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: x}\n---\n" + objects("10.0.0.1")}, services: 1,
			want: []string{"east/a.yaml:1: error WrongType: Service east:default/a spec.ports: the field cannot be a string; save it again with kubectl get -o yaml"},
		},
		{
			name: "no name", files: map[string]string{"east/a.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {}\n"},
			want: []string{"east/a.yaml:1: error InvalidName: metadata.name: a Pod has no name; set metadata.name"},
		},
		{
			name: "no kind", files: map[string]string{"east/a.yaml": "a: b\n"},
			want: []string{"east/a.yaml:1: error MissingField: kind: an object has no apiVersion or no kind; save the objects with kubectl get -o yaml"},
		},
		{
			name: "a List that is cut off", files: map[string]string{"east/a.yaml": strings.Split(objects("10.0.0.1"), "kind: List")[0]},
			want: []string{"east/a.yaml:1: error MissingField: kind: an object has no apiVersion or no kind; save the objects with kubectl get -o yaml"},
		},
		{
			name: "not YAML", files: map[string]string{"east/a.yaml": "apiVersion: v1\nitems:\n- a: [\n- b\nkind: List\n"},
			want: []string{"east/a.yaml:3: error InvalidYAML: the file is not valid YAML: did not find expected node content; correct the YAML near that line"},
		},
		{
			name: "not JSON", files: map[string]string{"east/a.json": "{\n \"a\": }"},
			want: []string{"east/a.json:2: error InvalidYAML: the file is not valid JSON: invalid character '}' looking for beginning of value; correct the JSON near that line"},
		},
		{
			name: "not UTF-8", files: map[string]string{"east/a.yaml": "a: \xff"},
			want: []string{"east/a.yaml: error NotUTF8: the file is not UTF-8: byte 3 (counted from 0) begins no character; save the file as UTF-8"},
		},
		{
			name: "twice", files: map[string]string{"east/a.yaml": objects("10.0.0.1"), "east/b.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: httpbin}\n"}, services: 1,
			want: []string{"east/b.yaml:1: error DuplicateObject: Service east:default/httpbin: the object is also at DIR/east/a.yaml:3, which is the one in force; remove one of the two"},
		},
		{
			name: "too large for one", files: map[string]string{"east/a.yaml": "{apiVersion: v1, kind: List, items: [" + strings.Repeat(" ", maxDocumentBytes) + "]}"},
			want: []string{"east/a.yaml:1: error TooLarge: an object has 8388647 bytes; at most 8388608 are read; save the objects with kubectl get -o yaml or -o json, as a List"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.files["a.yaml"] = memberCluster("east")
			dir := directory(t, test.files)
			state := load(t, dir)
			got := problemsOf(state, dir)
			for i := range test.want {
				test.want[i] = strings.ReplaceAll(test.want[i], "DIR/", "")
			}
			require.Equal(t, test.want, got)
			require.Len(t, state.Pods, test.services)
		})
	}
}

// documentsOf turns a List as kubectl prints it into one document for each item.
func documentsOf(list string) string {
	_, rest, _ := strings.Cut(list, "items:\n")
	rest, _, _ = strings.Cut(rest, "kind: List\n")
	var out strings.Builder
	for _, line := range strings.SplitAfter(rest, "\n") {
		if strings.HasPrefix(line, "- ") {
			out.WriteString("---\n")
		}
		if len(line) > 2 {
			line = line[2:]
		}
		out.WriteString(line)
	}
	return out.String()
}

func TestObjectsOutsideAreRefused(t *testing.T) {
	outside := directory(t, map[string]string{"a.yaml": objects("10.0.0.1")})
	dir := directory(t, map[string]string{"a.yaml": memberCluster("east")})
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "east")))
	state := load(t, dir)
	require.Equal(t, []string{
		"east: error Unreadable: MemberCluster east spec.source.objects.directory: the objects of cluster east cannot be read: a symbolic link leads out of the configuration directory; put them into that directory below the configuration directory",
	}, problemsOf(state, dir))
	require.Empty(t, state.Config.Synced)
}

func TestObjectsOfARefusedClusterAreNoConfiguration(t *testing.T) {
	dir := directory(t, map[string]string{
		"z/clusters.yaml":     strings.Replace(memberCluster("east"), "source", "sorce: 1, source", 1),
		"east/objects.yaml":   objects("10.0.0.1"),
		"east/sub/other.yaml": tunnel("a", "50"),
	})
	state := load(t, dir)
	require.Equal(t, []string{
		`z/clusters.yaml:4: error UnknownField: MemberCluster east spec.sorce: there is no field "sorce": did you mean source?; write source, or remove the field`,
	}, problemsOf(state, dir))
	require.Empty(t, state.Config.Tunnels)
}

func TestLargeListIsReadInPieces(t *testing.T) {
	const podsInList = 10_000
	var list strings.Builder
	list.WriteString("apiVersion: v1\nitems:\n")
	for i := range podsInList {
		fmt.Fprintf(&list, "- apiVersion: v1\n  kind: Pod\n  metadata:\n    labels: {app: a}\n    name: pod-%d\n    namespace: default\n  spec:\n    containers:\n", i)
		for c := range 40 {
			fmt.Fprintf(&list, "    - image: registry.example/team/application:%d\n      name: container-%d\n      terminationMessagePath: /dev/termination-log\n", i, c)
		}
	}
	list.WriteString("kind: List\n")
	require.Greater(t, list.Len(), 40*mebibyte)
	dir := directory(t, map[string]string{"a.yaml": memberCluster("east"), "east/objects.yaml": objects("10.0.0.1"), "east/pods.yaml": list.String()})
	start := time.Now()
	r := newReader([]string{dir}, Options{}, nil)
	_, err := r.refresh(true, map[string]bool{})
	require.NoError(t, err)
	require.Empty(t, r.state.Config.Problems)
	require.Len(t, r.clusters["east"].index.holders, podsInList+3)
	require.Less(t, time.Since(start), 30*time.Second)
	t.Logf("%d MiB in %v", list.Len()/mebibyte, time.Since(start))
}

func TestPruningLeavesWhatIsRead(t *testing.T) {
	whole, wrong := itemOfYAML([]byte(objects("10.0.0.1")))
	require.Nil(t, wrong)
	items, rest, ok := splitList([]byte(objects("10.0.0.1")))
	require.True(t, ok)
	require.Equal(t, "apiVersion: v1\nitems:\nkind: List\nmetadata:\n  resourceVersion: \"\"\n", string(rest))
	require.Len(t, items, 3)
	for i, entry := range items {
		require.True(t, strings.HasPrefix(strings.Split(objects("10.0.0.1"), "\n")[entry.line-1], "- "))
		pruned := string(prune(blockOf(entry.text, nil)))
		require.NotContains(t, pruned, "annotations")
		require.NotContains(t, pruned, "status")
		require.Equal(t, strings.Count(string(entry.text), "\n"), strings.Count(pruned, "\n"))
		got, wrong := itemOfYAML([]byte(pruned))
		require.Nil(t, wrong)
		want := *whole.items[i]
		want.line, got.line = 0, 0
		if want.service != nil {
			want.service.UID = ""
		}
		require.Equal(t, &want, got)
	}
}
