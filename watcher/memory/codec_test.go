package memory

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

// again encodes and decodes a Cluster.
func again(t testing.TB, c *Cluster) *Cluster {
	payload, err := encode(c)
	require.NoError(t, err)
	payload, err = unframe(magic, frame(magic, payload))
	require.NoError(t, err)
	got, err := decode(payload)
	require.NoError(t, err)
	return got
}

func TestEverythingComesBackAsItWas(t *testing.T) {
	for name, c := range map[string]*Cluster{
		"one of everything": small(),
		"nothing":           {Name: "east", Saved: someTime},
		"all namespaces":    {Name: "east", Saved: someTime, Scope: snapshot.Everything},
		"no namespaces":     {Name: "east", Saved: someTime, Scope: &snapshot.Scope{Namespaces: []string{}}},
		"long ago":          {Name: "east", Saved: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)},
		"large":             large(100, 10, 1, true),
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c, again(t, c)) })
	}
}

// TestAnythingComesBackAsItWas is TestEverythingComesBackAsItWas with whatever chance makes, seeds 0 to 299.
func TestAnythingComesBackAsItWas(t *testing.T) {
	for seed := range uint64(300) {
		c := chance(seed)
		require.Equal(t, c, again(t, c), "seed %d", seed)
	}
}

// TestFormatIsTheSame has the sum of what version 1 of the format is of a large Cluster: whoever changes it must change the version.
func TestFormatIsTheSame(t *testing.T) {
	payload, err := encode(large(100, 10, 1, true))
	require.NoError(t, err)
	require.Equal(t, "a2206c1cf1e5381c1030ca98e50e1a77150409875a8dd4b8465e8fc0c2614505", fmt.Sprintf("%x", sha256.Sum256(payload)))
}

func TestZoneOfAnAddressIsReadAndLeftOut(t *testing.T) {
	written := netip.MustParseAddr("fe80::1").As16()
	d := &decoder{in: append(written[:], "\x00\x04eth0"...)}
	require.Equal(t, netip.MustParseAddr("fe80::1"), d.address(addressZone))
	require.NoError(t, d.err)
	require.Empty(t, d.in)
}

func TestNameThatNoPodCanHaveIsRefused(t *testing.T) {
	for size, want := range map[int]string{pods.MaxName: "", pods.MaxName + 1: "a Pod's name has 254 bytes; none has more than 253"} {
		e := &encoder{}
		e.uint(0)
		e.literal(strings.Repeat("x", size))
		d := &decoder{in: e.out}
		if d.name(); want != "" {
			require.EqualError(t, d.err, want)
			continue
		}
		require.NoError(t, d.err)
	}
}

func TestSameContentIsSameBytes(t *testing.T) {
	c := large(50, 4, 1, true)
	want, err := encode(c)
	require.NoError(t, err)
	for range 5 {
		rand.Shuffle(len(c.Services), func(i, j int) { c.Services[i], c.Services[j] = c.Services[j], c.Services[i] })
		rand.Shuffle(len(c.Sets), func(i, j int) { c.Sets[i], c.Sets[j] = c.Sets[j], c.Sets[i] })
		order := slices.Clone(c.Sets)
		got, err := encode(c)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, order, c.Sets, "what is saved is only read")
	}
}

func TestWhatRepeatsIsShared(t *testing.T) {
	c := large(3, 3, 1, true)
	for i := range c.Sets {
		for j := range c.Sets[i].Pods { // Nothing is shared by what is saved.
			pod := &c.Sets[i].Pods[j]
			group := *pod.Group
			group.Namespace, group.Ports = strings.Clone(group.Namespace), slices.Clone(group.Ports)
			pod.Group = &group
			pod.Labels = map[string]string{"app": "httpbin"}
		}
	}
	got := again(t, c)
	require.Equal(t, c, got)
	first := got.Sets[0].Pods[0]
	for _, set := range got.Sets {
		for i := range set.Pods {
			pod := &set.Pods[i]
			require.Same(t, &first.Ports[0], &pod.Ports[0])
			require.Same(t, set.Pods[0].Group, pod.Group)
			require.Same(t, unsafe.StringData(set.Key.Namespace), unsafe.StringData(pod.Namespace))
		}
	}
	first.Labels["app"] = "other"
	require.Equal(t, "other", got.Sets[2].Pods[2].Labels["app"], "one map for all")
	require.Same(t, unsafe.StringData(got.Services[0].Key.Name), unsafe.StringData(got.Sets[0].Key.Name))
}

func TestPodTakesNoMoreMemoryThanLive(t *testing.T) {
	const services, podsEach = 500, 10 // so many that it does not count what else is allocated or freed meanwhile
	before := heap()
	live := large(services, podsEach, 1, false)
	lives := heap() - before
	payload, err := encode(live)
	require.NoError(t, err)
	before = heap()
	loaded, err := decode(payload)
	require.NoError(t, err)
	loads := heap() - before
	t.Logf("bytes per Pod: %d as made, %d as loaded, %d in the file", lives/services/podsEach, loads/services/podsEach, len(payload)/services/podsEach)
	require.LessOrEqual(t, loads, lives)
	require.Equal(t, live, loaded)
}

func TestWhatIsNotOneClusterIsRefused(t *testing.T) {
	for want, change := range map[string]func(*Cluster){
		"a Service is nil": func(c *Cluster) { c.Services[1] = nil },
		"a Set is nil":     func(c *Cluster) { c.Sets[1] = nil },
		"the Service of west:default/elsewhere is another cluster's": func(c *Cluster) { c.Services[0].Key.Cluster = "west" },
		"the Set of west:default/elsewhere is another cluster's":     func(c *Cluster) { c.Sets[0].Key.Cluster = "west" },
		"the Service of east:edge/bare comes twice":                  func(c *Cluster) { c.Services[0] = c.Services[2] },
		"the Set of east:edge/bare comes twice":                      func(c *Cluster) { c.Sets = append(c.Sets, c.Sets[2]) },
		"it has 1000001 Pods; at most 1000000 of a cluster are remembered": func(c *Cluster) {
			c.Sets[2].Pods = make([]pods.Pod, maxPods+1-len(c.Sets[1].Pods))
		},
		"it has 1000001 Services; at most 1000000 of a cluster are remembered": func(c *Cluster) {
			c.Sets = make([]*pods.Set, maxServices+1)
		},
		"it takes 67109248 bytes; at most 67108864 of a cluster are remembered": func(c *Cluster) {
			c.Source = strings.Repeat("x", maxPayload)
		},
	} {
		c := small()
		change(c)
		_, err := encode(c)
		require.EqualError(t, err, want)
	}
}

// TestSenselessPayload decodes what has been written wrongly and has the right checksum.
func TestSenselessPayload(t *testing.T) {
	payload, err := encode(small())
	require.NoError(t, err)
	for size := range payload {
		_, err := decode(payload[:size])
		require.Error(t, err, "%d of %d bytes", size, len(payload))
	}
	for i := range payload {
		for change := range 256 {
			changed := slices.Clone(payload)
			changed[i] = byte(change)
			_, _ = decode(changed) // It may make sense; that it ends is the test.
		}
	}
	head := string(payload[:savedSize]) + "\x00\x04east\x01\x01\x00"
	varint := func(n uint64) string { return string(binary.AppendUvarint(nil, n)) }
	for text, want := range map[string]string{
		head + "\x00\x00more":       "4 bytes are left over",
		head:                        "a number is cut short or too large",
		head + "\x05":               "it ends too early",
		head + varint(1<<40):        "it ends too early",
		string(payload[:savedSize]): "a number is cut short or too large",
		string(payload[:savedSize]) + "\x00\x04east\x01\x01\x03":                          "3 does not say which namespaces are known",
		string(payload[:savedSize]) + "\x09":                                              "string 9 is not there",
		head + "\x00\x02" + strings.Repeat("\x01\x01\x00", 2):                             "the Set of east:/ is out of order",
		head + "\x02" + strings.Repeat("\x01\x01\x00\x00\x00", 2) + "\x00":                "Service east:/ is out of order",
		head + "\x01\x01\x01\x02\x00\x00":                                                 "2 does not say whether a Service is an ExternalName",
		head + "\x00\x01\x01\x01\x02\x80" + strings.Repeat("\x00", 9):                     "128 are not the flags of a Pod",
		head + "\x00\x01\x01\x01\x02\x40\x01" + strings.Repeat("\x00", 9):                 "a Pod's name is longer than the one before",
		head + "\x00\x01\x01\x01\x02\x40\x00\x00\x00\x01\x01\x09\x00":                     "list of ports 9 is not there",
		head + "\x00\x01\x01\x01\x02\x40\x00\x00\x00\x01\x01\x00\x09":                     "map of labels 9 is not there",
		head + "\x00\x01\x01\x01\x02\x40\x00\x00\x00\x01\x01\x00\x01\x02\x01\x01\x01\x01": "a label comes twice",
	} {
		_, err := decode([]byte(text))
		require.EqualError(t, err, want, "%q", text)
	}
}

// FuzzPayload decodes anything, and compares what makes sense with what is encoded of it.
func FuzzPayload(f *testing.F) {
	for _, c := range []*Cluster{small(), large(2, 2, 1, true), {Name: "east"}, chance(1), chance(2)} {
		payload, err := encode(c)
		require.NoError(f, err)
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if c, err := decode(payload); err == nil {
			require.Equal(t, c, again(t, c))
		}
	})
}

// FuzzFile reads anything as a file. The checksum stands in the way of chance, so what is below it is FuzzPayload's.
func FuzzFile(f *testing.F) {
	payload, err := encode(small())
	require.NoError(f, err)
	file := frame(magic, payload)
	for _, seed := range [][]byte{file, file[:100], []byte("podway-pods 2 x"), []byte("podway-pods 0\n"), nil, []byte("podway-pods 1 -1 \n")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		payload, err := unframe(magic, bytes)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		_, _ = decode(payload)
	})
}

// chance makes a Cluster of odd strings and all kinds of addresses.
func chance(seed uint64) *Cluster {
	r := rand.New(rand.NewPCG(seed, 2))
	text := func() string {
		odd := []string{"", "a", "\x00", "\xff\xfe", "é", strings.Repeat("x", 300), "http", uid(r), strings.ToUpper(uid(r)), uid(r)[:35] + "-"}
		return odd[r.IntN(len(odd))]
	}
	labels := func() map[string]string {
		if r.IntN(3) == 0 {
			return nil
		}
		m := map[string]string{}
		for range r.IntN(3) {
			m[text()] = text()
		}
		return m
	}
	number := func() int32 { return int32(r.Uint32()) }
	address := func() netip.Addr {
		var bytes [16]byte
		binary.BigEndian.PutUint64(bytes[:], r.Uint64())
		switch r.IntN(5) {
		case 0:
			return netip.Addr{}
		case 1:
			return netip.AddrFrom4([4]byte(bytes[:4]))
		case 2:
			return netip.AddrFrom16(bytes).WithZone("eth0")
		case 3:
			return netip.MustParseAddr("::ffff:192.0.2.1")
		}
		return netip.AddrFrom16(bytes)
	}
	var shared []pods.Port
	c := &Cluster{Name: "east", UID: text(), Source: text(), Saved: time.Unix(int64(number()), int64(r.IntN(1e9))).UTC(), Scope: &snapshot.Scope{All: r.IntN(2) == 0}}
	for range r.IntN(5) {
		key := pods.ServiceKey{Cluster: "east", Namespace: text(), Name: text()}
		set, service := &pods.Set{Key: key}, &pods.Service{Key: key, Selector: pods.LabelsOf(labels()), ExternalName: r.IntN(2) == 0}
		if slices.ContainsFunc(c.Sets, func(s *pods.Set) bool { return s.Key == key }) {
			continue
		}
		var names []string
		for range r.IntN(4) {
			service.Ports = append(service.Ports, pods.ServicePort{Name: text(), Port: number(), Protocol: text(), AppProtocol: text()})
			shared = append(shared, pods.Port{Name: text(), Number: number()})
			pod := pods.Pod{
				Group: &pods.Group{Namespace: key.Namespace, Ports: slices.Clone(shared[r.IntN(len(shared)):]), Labels: labels()},
				UID:   pods.UIDOf(text()), Place: pods.PlaceOf(text(), text()), Address: pods.AddressOf(address()),
				Ready: r.IntN(2) == 0, Serving: r.IntN(2) == 0, Terminating: r.IntN(2) == 0,
			}
			if r.IntN(3) == 0 {
				pod.Group = &pods.Group{Namespace: text(), Labels: labels()}
			}
			set.Pods = append(set.Pods, pod)
			names = append(names, text())
		}
		pods.GiveNames(set.Pods, names)
		c.Sets, c.Services = append(c.Sets, set), append(c.Services, service)
	}
	slices.SortFunc(c.Sets, func(a, b *pods.Set) int { return a.Key.Compare(b.Key) })
	slices.SortFunc(c.Services, func(a, b *pods.Service) int { return a.Key.Compare(b.Key) })
	return c
}
