package demo

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxDelay bounds /delay.
const maxDelay = time.Minute

// Echo is what a backend answers: the request as it really arrived, and at whom.
type Echo struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Version   string `json:"version"`
	Address   string `json:"address"`

	Method   string      `json:"method"`
	URL      string      `json:"url"`
	Protocol string      `json:"protocol"`
	Host     string      `json:"host"`
	Headers  http.Header `json:"headers"`
	// TLS is absent where the request came in plain text.
	TLS *EchoTLS `json:"tls,omitempty"`
}

// EchoTLS is what the client of a backend, an Envoy, said in the TLS handshake.
type EchoTLS struct {
	// ServerName is the SNI, empty where none was sent.
	ServerName string `json:"serverName"`
	// Client is the common name of the client's certificate, empty where it sent none.
	Client string `json:"client,omitempty"`
}

// handler answers /status/CODE, /delay/MILLISECONDS, /ws, gRPC, and everything else with an Echo.
func (b *Backend) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", b.echo)
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("code"))
		if err != nil || code < 200 || code > 599 {
			http.Error(w, "want /status/CODE with a CODE from 200 to 599", http.StatusBadRequest)
			return
		}
		w.WriteHeader(code)
	})
	mux.HandleFunc("/delay/{milliseconds}", func(w http.ResponseWriter, r *http.Request) {
		delay, err := time.ParseDuration(r.PathValue("milliseconds") + "ms")
		if err != nil || delay < 0 || delay > maxDelay {
			http.Error(w, "want /delay/MILLISECONDS, up to 60000", http.StatusBadRequest)
			return
		}
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			b.echo(w, r)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/ws", echoWebSocket)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.requests.Add(1)
		w.Header().Set(PodHeader, b.ID())
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			b.grpc.ServeHTTP(w, r)
			return
		}
		if status := b.status.Load(); status != 0 {
			w.WriteHeader(int(status))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (b *Backend) echo(w http.ResponseWriter, r *http.Request) {
	echo := Echo{
		Cluster: b.cfg.Cluster, Namespace: b.cfg.Namespace, Pod: b.cfg.Name, Version: b.cfg.Version, Address: b.address.String(),
		Method: r.Method, URL: r.URL.RequestURI(), Protocol: r.Proto, Host: r.Host, Headers: r.Header,
	}
	if r.TLS != nil {
		echo.TLS = &EchoTLS{ServerName: r.TLS.ServerName}
		if len(r.TLS.PeerCertificates) > 0 {
			echo.TLS.Client = r.TLS.PeerCertificates[0].Subject.CommonName
		}
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(echo) // fails only where the client has gone
}
