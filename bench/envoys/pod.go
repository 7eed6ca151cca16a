package main

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// pod answers with who it is and what Host it was asked for, and costs little.
type pod struct {
	name    string
	address netip.AddrPort
	server  *http.Server
	ended   chan error
}

func newPod(name string) (*pod, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &pod{name: name, address: listener.Addr().(*net.TCPAddr).AddrPort(), ended: make(chan error, 1)}
	p.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(podHeader, name)
		w.Header().Set(hostHeader, r.Host)
	})}
	go func() { p.ended <- p.server.Serve(listener) }()
	return p, nil
}

func (p *pod) close() error {
	err := p.server.Close()
	if ended := <-p.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
