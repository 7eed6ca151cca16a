package envoy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	// adminTimeout bounds each call, beside the caller's own context.
	adminTimeout = 10 * time.Second
	// adminMaxBytes bounds each answer: the clusters of 100,000 endpoints take about half of it.
	adminMaxBytes = 256 << 20
)

// Admin asks an Envoy's admin interface. It is safe for concurrent use and
// holds no connection between calls.
type Admin struct {
	address string
	client  *http.Client
}

// NewAdmin returns a client for the admin interface at HOST:PORT.
func NewAdmin(address string) *Admin {
	return &Admin{address: address, client: &http.Client{
		Timeout: adminTimeout,
		// An Envoy that is being looked at ends at once; a connection that is kept would be a goroutine too.
		Transport: &http.Transport{DisableKeepAlives: true},
	}}
}

// Address is HOST:PORT.
func (a *Admin) Address() string { return a.address }

// Ready returns nil where the Envoy is live: it has had its first
// configuration, and is neither draining nor stopping. The error says which state it is in.
func (a *Admin) Ready(ctx context.Context) error {
	_, err := a.do(ctx, http.MethodGet, "/ready", nil)
	return err
}

// ServerInfo is the version, the state, the node and the command line.
func (a *Admin) ServerInfo(ctx context.Context) (*adminv3.ServerInfo, error) {
	info := &adminv3.ServerInfo{}
	return info, a.message(ctx, "/server_info", nil, info)
}

// ConfigDump is what Envoy has, in its own JSON. The query is that of
// Envoy's /config_dump, such as {"resource": {"dynamic_active_clusters"}}, or {"include_eds": {""}} for endpoints.
func (a *Admin) ConfigDump(ctx context.Context, query url.Values) ([]byte, error) {
	return a.do(ctx, http.MethodGet, "/config_dump", query)
}

// Stats are the counters and gauges whose names match a regular expression; all, where it is empty.
func (a *Admin) Stats(ctx context.Context, filter string) (map[string]uint64, error) {
	query := url.Values{}
	if filter != "" {
		query.Set("filter", filter)
	}
	body, err := a.do(ctx, http.MethodGet, "/stats", query)
	if err != nil {
		return nil, err
	}
	stats := map[string]uint64{}
	for line := range strings.Lines(string(body)) {
		name, text, found := strings.Cut(strings.TrimSpace(line), ": ")
		if !found {
			continue
		}
		if value, err := strconv.ParseUint(text, 10, 64); err == nil { // histograms and texts are not numbers
			stats[name] = value
		}
	}
	return stats, nil
}

// Drain makes an Envoy finish: it tells its clients to come back elsewhere,
// and closes its listeners after its drain time (--drain-time-s). It returns at once.
func (a *Admin) Drain(ctx context.Context) error {
	_, err := a.do(ctx, http.MethodPost, "/drain_listeners", url.Values{"graceful": {""}})
	return err
}

// message reads an answer in the JSON of a protobuf message.
func (a *Admin) message(ctx context.Context, path string, query url.Values, into proto.Message) error {
	body, err := a.do(ctx, http.MethodGet, path, query)
	if err != nil {
		return err
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading the answer of Envoy's %s: %w", path, err)
	}
	return nil
}

func (a *Admin) do(ctx context.Context, method, path string, query url.Values) ([]byte, error) {
	at := url.URL{Scheme: "http", Host: a.address, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, method, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("asking Envoy's admin interface: %w", err)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking Envoy's admin interface: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, adminMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of Envoy's %s: %w", path, err)
	}
	if len(body) > adminMaxBytes {
		return nil, fmt.Errorf("the answer of Envoy's %s is over %d bytes", path, adminMaxBytes)
	}
	if response.StatusCode != http.StatusOK {
		text := strings.TrimSpace(string(body[:min(len(body), 200)]))
		return nil, fmt.Errorf("envoy's %s answered %d: %s", path, response.StatusCode, text)
	}
	return body, nil
}
