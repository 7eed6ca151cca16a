package fleet

import (
	"context"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/bench/xds/raw"
)

// Versions asks a server for the versions of all names.
func Versions(ctx context.Context, address string, names []string) (map[string]string, error) {
	versions := map[string]string{}
	err := ask(ctx, address, delta{names: names}, func(m []byte) (bool, error) {
		var r discoveryv3.DeltaDiscoveryResponse
		if err := proto.Unmarshal(m, &r); err != nil {
			return false, err
		}
		for _, resource := range r.GetResources() {
			versions[resource.GetName()] = resource.GetVersion()
		}
		return len(versions) == len(names), nil
	})
	return versions, err
}

// Version asks a server, by the state-of-the-world variant, for the version that a client has once it has all names.
func Version(ctx context.Context, address string, names []string) (version string, err error) {
	v, err := newWorld(names, "")
	if err != nil {
		return "", err
	}
	has := 0
	err = ask(ctx, address, v, func(m []byte) (bool, error) {
		r := raw.Read(m)
		version = r.Version
		has += r.Resources
		return has >= len(names), nil
	})
	return version, err
}

// ask opens one stream, and hands on its responses until one is the last that is wanted.
func ask(ctx context.Context, address string, v variant, take func([]byte) (last bool, err error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := Dial(address, window)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it was only read from
	stream, err := open(ctx, conn, 0, v)
	if err != nil {
		return err
	}
	for {
		var m []byte
		if err := stream.RecvMsg(&m); err != nil {
			return err
		}
		if last, err := take(m); last || err != nil {
			return err
		}
		ack, err := v.ack(raw.Read(m))
		if err == nil {
			err = stream.SendMsg(ack)
		}
		if err != nil {
			return err
		}
	}
}
