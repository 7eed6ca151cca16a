package fakeapi

import (
	stdbase64 "encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func base64(b []byte) string { return stdbase64.StdEncoding.EncodeToString(b) }

// Control is how another process has things happen: POST /churn?rate=&changes=&clusters=, /burst?cluster=, /expire?cluster=,
// /silent?cluster=&on=, /down?cluster=&on=, /slow?cluster=&ms=. churn and burst answer with the Changes, once all of them are on their way.
func (f *Fleet) Control() http.Handler {
	mux := http.NewServeMux()
	number := func(r *http.Request, name string) int {
		n, _ := strconv.Atoi(r.URL.Query().Get(name))
		return n
	}
	of := func(r *http.Request) *Cluster { return f.Clusters[number(r, "cluster")] }
	mux.HandleFunc("POST /churn", func(w http.ResponseWriter, r *http.Request) {
		var clusters []*Cluster
		for _, c := range strings.Split(r.URL.Query().Get("clusters"), ",") {
			n, _ := strconv.Atoi(c)
			clusters = append(clusters, f.Clusters[n])
		}
		_ = json.NewEncoder(w).Encode(churn(r, clusters, number(r, "rate"), number(r, "changes"))) // whoever asked has gone
	})
	mux.HandleFunc("POST /burst", func(w http.ResponseWriter, r *http.Request) {
		c := of(r)
		var changes []Change
		for service := range c.size.Services {
			changes = append(changes, c.Replace(service, service%c.size.Pods))
		}
		_ = json.NewEncoder(w).Encode(changes) // whoever asked has gone
	})
	mux.HandleFunc("POST /expire", func(_ http.ResponseWriter, r *http.Request) { of(r).Expire() })
	mux.HandleFunc("POST /silent", func(_ http.ResponseWriter, r *http.Request) { of(r).door.hush(number(r, "on") == 1) })
	mux.HandleFunc("POST /slow", func(_ http.ResponseWriter, r *http.Request) {
		of(r).slow.Store(int64(time.Duration(number(r, "ms")) * time.Millisecond))
	})
	mux.HandleFunc("POST /down", func(w http.ResponseWriter, r *http.Request) {
		if number(r, "on") == 1 {
			of(r).door.shut()
		} else if err := of(r).door.open(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

// churn replaces Pods at a rate, in changes a second; 0 for as fast as possible.
func churn(r *http.Request, clusters []*Cluster, rate, count int) []Change {
	random := rand.New(rand.NewPCG(1, uint64(count)))
	changes := make([]Change, 0, count)
	begun := time.Now()
	for i := range count {
		if rate > 0 {
			timer := time.NewTimer(time.Until(begun.Add(time.Duration(i) * time.Second / time.Duration(rate))))
			select {
			case <-timer.C:
			case <-r.Context().Done():
				timer.Stop()
				return changes
			}
		}
		c := clusters[random.IntN(len(clusters))]
		changes = append(changes, c.Replace(random.IntN(c.size.Services), random.IntN(c.size.Pods)))
	}
	return changes
}
