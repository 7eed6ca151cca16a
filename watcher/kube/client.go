package kube

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

const (
	dialTimeout      = 3 * time.Second
	handshakeTimeout = 5 * time.Second
	// pingAfter is how long a connection may be silent before the server is asked for a sign of life, and pingTimeout how long it may stay so
	// before it is given up.
	pingAfter   = time.Second
	pingTimeout = 6 * time.Second
	// answerTimeout is how long the answer itself may take: over a slow network, it waits behind all that the server has said before.
	answerTimeout = 2 * time.Minute
	// signWithin is how soon a server that was asked has to give one, or it is no longer taken to be there. One that always takes its time has twice that.
	signWithin = 750 * time.Millisecond
	// answerPatience is how long a server may say nothing in the middle of an answer: it gives up itself after 60 s.
	answerPatience = 75 * time.Second
	// watchPatience is the same for a watch, on which API servers send a bookmark each minute.
	watchPatience = 150 * time.Second
	// sentAhead is how many bytes of an answer may wait to be read. Lists come faster than they are taken up, of all clusters at once, and of each Go
	// would keep 4 MiB. Where a packet takes 100 ms to the server and back, it lets 10 MB a second through; with half of it, the last of a burst of
	// changes arrives half as late again.
	sentAhead = 1 << 20
	// frame is the largest part of an answer that comes at once: over a slow network, all else has to wait for it. Larger ones save nothing.
	frame = 16 << 10
)

// keepAlive finds a machine that has gone after some 11 s, where a proxy speaks HTTP/1 only and there are no pings.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

const protobuf = "application/vnd.kubernetes.protobuf"

var (
	clientScheme = newScheme()
	clientCodecs = serializer.NewCodecFactory(clientScheme)
	parameters   = runtime.NewParameterCodec(clientScheme)
)

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // only for two types of one name
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return scheme
}

// Client speaks to one API server over connections of its own, so that no other cluster's trouble is this one's. It is safe for concurrent use.
type Client struct {
	core, discovery, metadata *rest.RESTClient
	lines                     lines
	token                     atomic.Pointer[string]
	agent                     string

	// dials counts the connections that were opened.
	dials atomic.Int64
	// heard is when anything was last read off any connection, in Unix nanoseconds; 0 for never. slowness is how long the server took of late to give a
	// sign of life, in nanoseconds.
	heard, slowness atomic.Int64
	// back is when the server was last there again after it had not been, in Unix nanoseconds; 0 for never.
	back atomic.Int64
	// received is when anything of what was asked for was last read, in Unix nanoseconds; 0 for never.
	received atomic.Int64
	// pinged is true while the server speaks HTTP/2, where silence means something.
	pinged atomic.Bool

	answerPatience, watchPatience time.Duration
}

// NewClient makes a client of what a kubeconfig says. It opens no connection. Of the configuration it uses Host, TLSClientConfig, BearerToken,
// UserAgent and Proxy, which is that of the environment where there is none; anything that would run a program or read a file is not for here.
func NewClient(config *rest.Config) (*Client, error) {
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of the credential: %w", err)
	}
	c := &Client{agent: config.UserAgent, answerPatience: answerPatience, watchPatience: watchPatience}
	c.SetToken(config.BearerToken)
	proxy := config.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	c.lines.client = c
	c.lines.now = newLine(c, &http.Transport{
		Proxy: proxy, TLSClientConfig: tlsConfig, TLSHandshakeTimeout: handshakeTimeout,
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second,
		HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: answerTimeout, MaxReceiveBufferPerStream: sentAhead, MaxReadFrameSize: frame},
	})
	own := &http.Client{Transport: roundTripper{c}, CheckRedirect: stay}
	c.core, err = restClient(config.Host, "/api", corev1.SchemeGroupVersion, clientCodecs.WithoutConversion(), own)
	if err == nil {
		c.discovery, err = restClient(config.Host, "/apis", discoveryv1.SchemeGroupVersion, lean{clientCodecs.WithoutConversion()}, own)
	}
	if err == nil {
		c.metadata, err = restClient(config.Host, "/api", corev1.SchemeGroupVersion, lean{metainternal.Codecs.WithoutConversion()}, own)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the server's address %q: %w", config.Host, err)
	}
	return c, nil
}

// stay has no request sent on to where an answer points: it would take the token there. API servers send nobody elsewhere.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func restClient(host, path string, version schema.GroupVersion, codecs runtime.NegotiatedSerializer, own *http.Client) (*rest.RESTClient, error) {
	return rest.RESTClientForConfigAndClient(&rest.Config{
		Host: host, APIPath: path, QPS: -1, WarningHandler: rest.NoWarnings{},
		ContentConfig: rest.ContentConfig{
			GroupVersion: &version, NegotiatedSerializer: codecs,
			ContentType: protobuf, AcceptContentTypes: protobuf + ",application/json",
		},
	}, own)
}

// SetToken replaces the bearer token of all requests to come; "" sends none.
func (c *Client) SetToken(token string) { c.token.Store(&token) }

// Close closes connections that are not in use. Those in use end with their requests.
func (c *Client) Close() { c.lines.close() }

// silence is how long the server has not said anything though it was asked; 0 where that says nothing.
func (c *Client) silence(now time.Time) time.Duration {
	at := c.silentAt()
	if at.IsZero() || !now.After(at) {
		return 0
	}
	return now.Sub(time.Unix(0, c.heard.Load()))
}

// silentAt is when the server has fallen silent if it has not said anything by then; zero where that says nothing.
func (c *Client) silentAt() time.Time {
	heard := c.heard.Load()
	if heard == 0 || !c.pinged.Load() {
		return time.Time{}
	}
	return time.Unix(0, heard).Add(c.silentAfter())
}

// silentAfter is how long a server that is asked for signs of life says nothing where it is there.
func (c *Client) silentAfter() time.Duration {
	return pingAfter + min(max(signWithin, 2*time.Duration(c.slowness.Load())), pingTimeout)
}

// hear notes that something was read. What comes after a silence is taken for the answer to a ping; where it is something else, the answer would have
// taken longer.
func (c *Client) hear(now time.Time) {
	if c.silence(now) > 0 {
		c.back.Store(now.UnixNano())
	}
	before := c.heard.Swap(now.UnixNano())
	took := now.Sub(time.Unix(0, before)) - pingAfter
	if before == 0 || took <= 0 || took > pingTimeout {
		return
	}
	c.slowness.Store(max(int64(took), c.slowness.Load()*7/8))
}

// answered notes how long the answer to a request took: that the server fell silent once does not mean that it always takes its time.
func (c *Client) answered(took time.Duration) {
	c.slowness.Store(min(int64(took), c.slowness.Load()))
}

// cameBack is when the server was last there again after it had not been; zero for never.
func (c *Client) cameBack() time.Time {
	back := c.back.Load()
	if back == 0 {
		return time.Time{}
	}
	return time.Unix(0, back)
}

func (c *Client) dial(ctx context.Context, network, address string) (*connection, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.dials.Add(1)
	return &connection{Conn: conn, client: c}, nil
}

// connection notes when anything was read.
type connection struct {
	net.Conn
	client *Client
	line   *line
	// begun is true once anything was: what comes first answers no ping.
	begun bool
	// limited is true while a Read ends in time.
	limited bool
}

// Close is for net.Conn.
func (c *connection) Close() error {
	c.line.closed(c)
	return c.Conn.Close()
}

// Read is for net.Conn. A server that is asked for signs of life gives one in time, or says something else; where neither comes, the connection is no good.
func (c *connection) Read(p []byte) (int, error) {
	if err := c.limit(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	switch now := time.Now(); {
	case n == 0:
	case c.begun:
		c.client.hear(now)
	default:
		c.begun = true
		c.client.heard.Store(now.UnixNano())
	}
	return n, err
}

// limit has the next Read end in time where the server is asked for signs of life.
func (c *connection) limit() error {
	pinged := c.client.pinged.Load()
	if !pinged && !c.limited {
		return nil
	}
	c.limited = pinged
	if !pinged {
		return c.SetReadDeadline(time.Time{})
	}
	return c.SetReadDeadline(time.Now().Add(pingAfter + pingTimeout))
}

// roundTripper adds to each request what identifies podway.
type roundTripper struct{ client *Client }

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	on := newWaiting(request, r.client)
	request = request.Clone(on.ctx)
	if token := *r.client.token.Load(); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if r.client.agent != "" {
		request.Header.Set("User-Agent", r.client.agent)
	}
	response, err := r.client.lines.begin(on).RoundTrip(request)
	if err != nil {
		return response, on.unanswered(err)
	}
	r.client.pinged.Store(response.ProtoMajor == 2)
	response.Body = &waitingBody{ReadCloser: response.Body, on: on}
	return response, nil
}
