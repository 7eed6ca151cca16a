package translator

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
)

// Clash is an address that a Pod of one tunnel has, and a Pod of another cluster that another tunnel takes.
type Clash struct {
	Tunnel, Other types.NamespacedName
	Address       netip.AddrPort
	Pod, OtherPod PodName
}

// PodName says which Pod. Name is empty for an endpoint that has no Pod.
type PodName struct{ Cluster, Namespace, Name string }

// String is as in a sentence.
func (n PodName) String() string {
	if n.Name == "" {
		return fmt.Sprintf("an endpoint of namespace %s in cluster %s", n.Namespace, n.Cluster)
	}
	return fmt.Sprintf("Pod %s/%s in cluster %s", n.Namespace, n.Name, n.Cluster)
}

// Clashes finds the tunnels of which a Pod has the address of a Pod that another tunnel takes of another cluster: one for each tunnel, sorted. Where
// an address of before, what was found last, is still one, it is the one that is told again. Within one tunnel, Endpoints tells.
//
// A Pod counts whether it is ready or not, so that this does not flap, but not once it terminates. Clusters of different networks may
// have the same addresses, unless one Gateway leads to both: its Envoys are in one place. The same Pod under two names of its cluster, known by its
// UID, is no clash.
//
// The work is in proportion to all Pods that tunnels take (BenchmarkClashes: 3 to 45 ms and 1.6 MB for 100,000, the most where half of them clash): it is for a pass of its own.
func (p *Plan) Clashes(live pods.Live, before []Clash) []Clash {
	f := clashFinder{plan: p, told: make(map[types.NamespacedName]netip.AddrPort, len(before)), found: map[types.NamespacedName]Clash{}}
	for _, clash := range before {
		f.told[clash.Tunnel] = clash.Address
	}
	f.collectUses(live)
	if !f.clusters() {
		return nil
	}
	f.collectAddresses()
	for from := 0; from < len(f.addresses); {
		to := from + 1
		for to < len(f.addresses) && f.compare(f.addresses[from], f.addresses[to]) == 0 {
			to++
		}
		if to-from > 1 {
			f.judge(f.addresses[from:to])
		}
		from = to
	}
	clashes := make([]Clash, 0, len(f.found))
	for _, clash := range f.found {
		clashes = append(clashes, clash)
	}
	slices.SortFunc(clashes, func(a, b Clash) int { return api.CompareNames(a.Tunnel, b.Tunnel) })
	return clashes
}

// ClashProblems has a Warning for each Clash, with its place.
func (p *Plan) ClashProblems(clashes []Clash) []api.Problem {
	problems := make([]api.Problem, 0, len(clashes))
	for _, clash := range clashes {
		tunnel := p.tunnels[clash.Tunnel]
		if tunnel == nil || len(tunnel.owners) == 0 {
			continue
		}
		problem := ambiguous(fmt.Sprintf("%s is the address of %s and of %s, which Tunnel %s uses", clash.Address, clash.Pod, clash.OtherPod, clash.Other))
		problem.Object, problem.Generation = tunnel.owners[0].ObjectRef, tunnel.tunnel.Generation
		problems = append(problems, p.cfg.Locate(problem))
	}
	return problems
}

// clashFinder is one look for Clashes.
type clashFinder struct {
	plan  *Plan
	uses  []clashUse
	told  map[types.NamespacedName]netip.AddrPort
	found map[types.NamespacedName]Clash
	// addresses are those of all Pods that are used, without a pointer in them: there are many.
	addresses []usedAddress
	// gateways are those that have a tunnel; made when they are asked for.
	gateways map[types.NamespacedName][]types.NamespacedName
}

// clashUse is a port of a Service, with the tunnels that take Pods of it.
type clashUse struct {
	key     pods.ServiceKey
	port    string
	network string
	set     *pods.Set
	tunnels []clashTaker
}

type clashTaker struct {
	tunnel types.NamespacedName
	use    pods.Use
}

// usedAddress is a Pod of a use, by their numbers. Two with one address have one key.
type usedAddress struct {
	key      uint64
	use, pod uint32
}

// collectUses collects what tunnels take, in an order that depends on nothing but the configuration.
func (f *clashFinder) collectUses(live pods.Live) {
	type port struct {
		key  pods.ServiceKey
		name string
	}
	numbers := map[port]int{}
	for _, name := range f.plan.inForce {
		entries := f.plan.tunnels[name].entries
		for i := range entries {
			e := &entries[i]
			if e.drained || e.pending || e.weight == 0 {
				continue
			}
			number, there := numbers[port{e.key, e.portName}]
			if !there {
				set := live(e.key)
				if set == nil {
					continue
				}
				number = len(f.uses)
				numbers[port{e.key, e.portName}] = number
				f.uses = append(f.uses, clashUse{key: e.key, port: e.portName, set: set, network: f.networkOf(e.key.Cluster)})
			}
			f.uses[number].tunnels = append(f.uses[number].tunnels, clashTaker{name, pods.Use{Service: e.key, Selector: e.selector}})
		}
	}
}

func (f *clashFinder) networkOf(cluster string) string {
	if member := f.plan.cfg.MemberClusters[cluster]; member != nil {
		return member.Spec.Network
	}
	return ""
}

// clusters says whether there is more than one.
func (f *clashFinder) clusters() bool {
	return slices.ContainsFunc(f.uses, func(u clashUse) bool { return u.key.Cluster != f.uses[0].key.Cluster })
}

func (f *clashFinder) collectAddresses() {
	size := 0
	for i := range f.uses {
		size += len(f.uses[i].set.Pods)
	}
	f.addresses = make([]usedAddress, 0, size)
	for i := range f.uses {
		for j := range f.uses[i].set.Pods {
			pod := &f.uses[i].set.Pods[j]
			if number, ok := pod.Port(f.uses[i].port); ok && number > 0 && number <= 65535 && pod.Address.IsValid() && !pod.Terminating {
				f.addresses = append(f.addresses, usedAddress{addressKey(pod.Address.Addr(), uint16(number)), uint32(i), uint32(j)})
			}
		}
	}
	slices.SortFunc(f.addresses, func(a, b usedAddress) int {
		if order := f.compare(a, b); order != 0 {
			return order
		}
		return cmp.Or(cmp.Compare(a.use, b.use), cmp.Compare(a.pod, b.pod))
	})
}

// addressKey is one number for one address: for IPv4 the address itself.
func addressKey(address netip.Addr, port uint16) uint64 {
	if address.Is4() {
		four := address.As4()
		return uint64(binary.BigEndian.Uint32(four[:]))<<16 | uint64(port)
	}
	const odd = 0x9e3779b97f4a7c15 // spreads the bits of networks that differ in few
	sixteen := address.As16()
	return (binary.BigEndian.Uint64(sixteen[:8])*odd^binary.BigEndian.Uint64(sixteen[8:]))*odd + uint64(port)
}

// compare compares the addresses themselves where the keys are equal.
func (f *clashFinder) compare(a, b usedAddress) int {
	if a.key != b.key {
		return cmp.Compare(a.key, b.key)
	}
	return f.address(a).Compare(f.address(b))
}

func (f *clashFinder) pod(of usedAddress) *pods.Pod { return &f.uses[of.use].set.Pods[of.pod] }

func (f *clashFinder) address(of usedAddress) netip.AddrPort {
	pod := f.pod(of)
	number, _ := pod.Port(f.uses[of.use].port)
	return netip.AddrPortFrom(pod.Address.Addr(), uint16(number))
}

// judge looks at all Pods with one address. Those that are told of already need no other.
func (f *clashFinder) judge(same []usedAddress) {
	address := f.address(same[0])
	for _, one := range same {
		for _, taker := range f.uses[one.use].tunnels {
			if _, there := f.found[taker.tunnel]; there && f.told[taker.tunnel] != address || !taker.use.Takes(f.pod(one)) {
				continue
			}
			if clash, ok := f.rival(one, taker.tunnel, same); ok {
				f.found[taker.tunnel] = clash
			}
		}
	}
}

// rival finds who else has a Pod's address, for a tunnel.
func (f *clashFinder) rival(one usedAddress, tunnel types.NamespacedName, same []usedAddress) (Clash, bool) {
	use := &f.uses[one.use]
	for _, other := range same {
		rival := &f.uses[other.use]
		if rival.key.Cluster == use.key.Cluster || samePod(f.pod(one), f.pod(other)) {
			continue
		}
		apart := use.network != "" && rival.network != "" && use.network != rival.network
		for _, taker := range rival.tunnels {
			if taker.tunnel == tunnel || !taker.use.Takes(f.pod(other)) || apart && !f.shareGateway(tunnel, taker.tunnel) {
				continue
			}
			return Clash{
				Tunnel: tunnel, Other: taker.tunnel, Address: f.address(one),
				Pod: nameOf(use.key.Cluster, f.pod(one)), OtherPod: nameOf(rival.key.Cluster, f.pod(other)),
			}, true
		}
	}
	return Clash{}, false
}

// shareGateway says whether one Gateway leads to both tunnels.
func (f *clashFinder) shareGateway(a, b types.NamespacedName) bool {
	if f.gateways == nil {
		f.gateways = map[types.NamespacedName][]types.NamespacedName{}
		for gateway, plan := range f.plan.gateways {
			for _, tunnel := range plan.tunnels {
				f.gateways[tunnel] = append(f.gateways[tunnel], gateway)
			}
		}
	}
	return slices.ContainsFunc(f.gateways[a], func(gateway types.NamespacedName) bool { return slices.Contains(f.gateways[b], gateway) })
}

func nameOf(cluster string, pod *pods.Pod) PodName {
	return PodName{Cluster: cluster, Namespace: pod.Namespace, Name: pod.Name()}
}

// samePod is true for a Pod that is seen under two names of its cluster.
func samePod(a, b *pods.Pod) bool { return a.UID != pods.UID{} && a.UID == b.UID }
