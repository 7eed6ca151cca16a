package kube

import (
	"net"
	"net/http"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// narrow is a network that carries little: what is written waits until what was written before it has gone.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &narrowConn{Conn: conn, queue: make(chan []byte, 1<<10), end: make(chan struct{})}
	go c.carry()
	return c, nil
}

// narrowConn carries 1 kB each 150 ms.
type narrowConn struct {
	net.Conn
	queue chan []byte
	end   chan struct{}
	close sync.Once
}

func (c *narrowConn) carry() {
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.end:
			return
		case some := <-c.queue:
			for part := range slices.Chunk(some, 1<<10) {
				if _, err := c.Conn.Write(part); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-c.end:
					return
				}
			}
		}
	}
}

func (c *narrowConn) Write(p []byte) (int, error) {
	select {
	case c.queue <- slices.Clone(p):
		return len(p), nil
	case <-c.end:
		return 0, net.ErrClosed
	}
}

func (c *narrowConn) Close() error {
	c.close.Do(func() { close(c.end) })
	return c.Conn.Close()
}

// TestAListOverANarrowNetworkIsNotCutOff: it takes longer than any sign of life may, and no sign of life comes before it.
func TestAListOverANarrowNetworkIsNotCutOff(t *testing.T) {
	t.Parallel()
	old := &oldServer{services: 2}
	b := &balancer{}
	b.server = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if path.Base(r.URL.Path) != services || query.Get(watchVerb) != "" || query.Get("limit") == "1" {
			old.ServeHTTP(w, r)
			return
		}
		list := &corev1.ServiceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceList"}, ListMeta: old.meta()}
		list.Items = append(list.Items, corev1.Service{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "s-0", Annotations: map[string]string{"long": string(make([]byte, 10<<10))}, // \u0000 each
		}})
		write(w, list)
	})
	session := balancedOver(t, b, "here", func(l net.Listener) net.Listener { return narrow{l} })
	session.awaits(t, Live)
	require.EqualValues(t, 1, b.lists.Load(), "lists")
}
