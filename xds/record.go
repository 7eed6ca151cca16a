package xds

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/api"
)

// record is one resource in the form in which it is sent. It never changes,
// and all views and streams share it.
type record struct {
	key     api.ResourceKey
	version string
	// value is the encoded resource. deltaHead is what stands before it in a delta response, and stateHead, in a SotW response.
	value                []byte
	deltaHead, stateHead mem.Buffer
	// body is value, as it is handed to the transport.
	body mem.Buffer
	// size is that of the Resource, in bytes.
	size    int
	needs   []api.ResourceKey
	owners  []api.Owner
	partial bool
	source  *api.Resource
	// former is what there is of it once clients have it.
	former *former
	// assignment is the name of the ClusterLoadAssignment that a Cluster takes its endpoints from; empty for other
	// types and clusters.
	assignment string
	// seen says when what led to this version was first seen; nil where that is not known. A view's log remembers it longer than the record, so it is no
	// part of that.
	seen *Seen
	// ready is true for a Cluster that can take traffic as soon as its ClusterLoadAssignment is accepted: it waits for
	// no health check and no secret.
	ready bool
}

// Seen says when a change was first seen, on its way to a resource. Zero times are not known.
type Seen struct {
	// Triggered is when the Pod or Service changed, as its cluster says.
	Triggered time.Time
	// Read is when podway read of it.
	Read time.Time
}

// newRecord encodes a resource. The bytes are deterministic within one build of podway, so replicas agree on versions.
func newRecord(source *api.Resource) (*record, error) {
	value := source.Wire
	if value == nil {
		var err error
		if value, err = (proto.MarshalOptions{Deterministic: true}).Marshal(source.Message); err != nil {
			return nil, fmt.Errorf("encoding %s %s: %w", shortType(source.Type), source.Name, err)
		}
	}
	r := &record{
		key:     source.ResourceKey,
		version: versionOf(value),
		value:   value,
		body:    mem.SliceBuffer(value),
		needs:   source.Needs,
		owners:  source.Owners,
		partial: source.Partial,
		source:  source,
	}
	r.former = newFormer(r)
	r.encodeHead()
	if c, ok := source.Message.(*clusterv3.Cluster); ok {
		r.describe(c)
	}
	return r, nil
}

// The numbers of fields in what is encoded of a response.
const (
	responseVersion   = 1 // envoy.service.discovery.v3.DeltaDiscoveryResponse's system_version_info, and DiscoveryResponse's version_info
	responseType      = 4
	responseNonce     = 5
	responseResources = 2 // envoy.service.discovery.v3.DeltaDiscoveryResponse, and DiscoveryResponse
	resourceVersion   = 1 // envoy.service.discovery.v3.Resource
	resourceAny       = 2
	resourceName      = 3
	anyType           = 1 // google.protobuf.Any
	anyValue          = 2
)

// encodeHead encodes all of the resource but its value, which stands last, once for all streams. Its Any has the same field number in a Resource
// as in a SotW response.
func (r *record) encodeHead() {
	packed := sizeField(len(r.key.Type)) + sizeField(len(r.value))
	r.size = sizeField(len(r.version)) + sizeField(len(r.key.Name)) + sizeField(packed)
	head := make([]byte, 0, sizeField(r.size)-len(r.value))
	head = appendHeader(head, responseResources, r.size)
	head = append(appendHeader(head, resourceVersion, len(r.version)), r.version...)
	head = append(appendHeader(head, resourceName, len(r.key.Name)), r.key.Name...)
	packedAt := len(head)
	head = appendHeader(head, resourceAny, packed)
	head = append(appendHeader(head, anyType, len(r.key.Type)), r.key.Type...)
	head = appendHeader(head, anyValue, len(r.value))
	r.deltaHead, r.stateHead = mem.SliceBuffer(head), mem.SliceBuffer(head[packedAt:])
}

// sizeField is the size of a field of so many bytes, with its tag, which has one byte.
func sizeField(size int) int { return 1 + protowire.SizeBytes(size) }

// appendHeader appends what stands before a field of so many bytes.
func appendHeader(b []byte, number protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.BytesType), uint64(size))
}

func (r *record) describe(c *clusterv3.Cluster) {
	if c.GetType() != clusterv3.Cluster_EDS {
		return
	}
	r.assignment = c.GetEdsClusterConfig().GetServiceName()
	if r.assignment == "" {
		r.assignment = r.key.Name
	}
	r.ready = len(c.GetHealthChecks()) == 0
	for _, need := range r.needs {
		if need.Type == secretType {
			r.ready = false
		}
	}
}

// emptyAssignment is what a cluster is answered whose ClusterLoadAssignment
// the view lacks: without any answer Envoy would hold back the cluster, and the listeners behind it, for
// initial_fetch_timeout. It is partial: who has endpoints keeps them.
func emptyAssignment(name string) *api.Resource {
	return &api.Resource{
		ResourceKey: api.ResourceKey{Type: endpointType, Name: name},
		Message:     &endpointv3.ClusterLoadAssignment{ClusterName: name},
		Partial:     true,
	}
}

// versionLength is how many characters a version has: 60 bits. It is sent with each change to each Envoy, twice, and compared with those of
// the same name only.
const versionLength = 10

// versionOf is the beginning of the SHA-256 of content, in base64 of the URL alphabet.
func versionOf(content []byte) string {
	sum := sha256.Sum256(content)
	return versionText(sum[:])
}

func versionText(sum []byte) string {
	return base64.RawURLEncoding.EncodeToString(sum[:8])[:versionLength]
}

// sameAs is true where replacing r by other changes nothing for anyone.
func (r *record) sameAs(other *record) bool {
	return other != nil && r.version == other.version && r.partial == other.partial
}

func (r *record) needsAny(key api.ResourceKey) bool {
	for _, need := range r.needs {
		if need == key {
			return true
		}
	}
	return false
}

func sortRecords(records []*record) {
	slices.SortFunc(records, func(a, b *record) int { return strings.Compare(a.key.Name, b.key.Name) })
}

// setVersion is the version of several records, in the order given: of one, its own.
func setVersion(records []*record) string {
	if len(records) == 1 {
		return records[0].version
	}
	h := sha256.New()
	var buffer []byte
	for _, r := range records {
		buffer = append(strconv.AppendInt(buffer[:0], int64(len(r.key.Name)), 10), ':')
		buffer = append(append(buffer, r.key.Name...), r.version...)
		h.Write(buffer)
	}
	return versionText(h.Sum(nil))
}
