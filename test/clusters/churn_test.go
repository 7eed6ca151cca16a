//go:build clusters

package clusters

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	fewestPods = 2
	mostPods   = 8
)

// churned is a Service whose Pods come and go, as far as its API server lets them.
type churned struct {
	*handmade
	book   *book
	random *rand.Rand
}

func newChurned(book *book, h *handmade, random *rand.Rand) *churned {
	for _, p := range h.pods {
		book.added(h.m.name, p)
	}
	return &churned{handmade: h, book: book, random: random}
}

// run goes on until the context ends and what was begun is written.
func (c *churned) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(100+c.random.IntN(300)) * time.Millisecond):
		}
		next := slices.Clone(c.pods)
		var come, leave []*pod
		if n := len(next); n <= fewestPods || n < mostPods && c.random.IntN(2) == 0 {
			come = c.m.newPods("web", 1+c.random.IntN(2))
			next = append(next, come...)
		} else {
			i := c.random.IntN(n)
			leave = next[i : i+1 : i+1]
			next = slices.Delete(slices.Clone(next), i, i+1)
		}
		c.pods = next
		for _, p := range come {
			c.book.adding(c.m.name, p)
		}
		for _, p := range leave {
			c.book.removing(p)
		}
		if !c.write() {
			return
		}
		for _, p := range come {
			c.book.added(c.m.name, p)
		}
		for _, p := range leave {
			c.book.removed(p)
		}
	}
}

// write tries until the API server has taken it: it may be away for a while.
func (c *churned) write() bool {
	begun := time.Now()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for ; time.Since(begun) < 2*patience; <-again.C {
		if c.try() == nil {
			return true
		}
	}
	c.m.w.whole.Errorf("the API server of %s took no write for %s", c.m.name, 2*patience)
	return false
}

// try writes once. A write that the API server was too slow to answer may still happen later: it must not undo those that came after it,
// so that each is for one version of the slice.
func (c *churned) try() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	slices := c.m.Client().DiscoveryV1().EndpointSlices(namespace)
	slice, err := slices.Get(ctx, c.slice.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	slice.Endpoints = endpointsOf(c.pods)
	_, err = slices.Update(ctx, slice, metav1.UpdateOptions{})
	return err
}

// requireWritten fails unless the API server says what was written last.
func (c *churned) requireWritten() {
	w := c.m.w
	w.Helper()
	slice, err := c.m.Client().DiscoveryV1().EndpointSlices(namespace).Get(w.Context(), c.slice.Name, metav1.GetOptions{})
	require.NoError(w, err)
	var have, want []string
	for _, endpoint := range slice.Endpoints {
		have = append(have, endpoint.Addresses...)
	}
	for _, p := range c.pods {
		want = append(want, p.address)
	}
	require.ElementsMatch(w, want, have)
}
