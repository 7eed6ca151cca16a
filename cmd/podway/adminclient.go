package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/podway/podway/cmd/podway/controlplane"
)

// The limits of asking a running serve.
const (
	adminTimeout = 10 * time.Second
	adminBytes   = 64 << 20
)

// addAdminAddressFlag adds --admin-address to a command that asks a running serve, and returns where its value will be.
func addAdminAddressFlag(cmd *cobra.Command) *string {
	address := cmd.Flags().String("admin-address", defaultAdminAddress, "`HOST:PORT` of the admin interface of podway serve")
	complete(cmd, "admin-address")
	return address
}

// fetchAdmin asks a running serve for a path of its admin interface, and decodes its JSON into a T. what is that in words, such as
// "a list of problems".
func fetchAdmin[T any](ctx context.Context, address, path, what string) (T, error) {
	return askAdmin[T](ctx, http.MethodGet, address, path, what)
}

// askAdmin is fetchAdmin with any method.
func askAdmin[T any](ctx context.Context, method, address, path, what string) (T, error) {
	var value T
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	_, _, malformed := net.SplitHostPort(address)
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, nil)
	if malformed != nil || err != nil {
		return value, usagef("--admin-address %q: want HOST:PORT", address)
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: dialToAsk} // no proxy of the environment: it is our own server
	client := &http.Client{Transport: transport}
	response, err := client.Do(request)
	switch {
	case err != nil && strings.Contains(err.Error(), "malformed HTTP response"): // net/http has no other name for it, and quotes all of it
		return value, fmt.Errorf("%s does not answer as the --admin-address of podway serve does; is it the --xds-address?", address)
	case err != nil:
		return value, fmt.Errorf("asking podway serve at %s: %w; is it running, and is this its --admin-address?", address, errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, adminBytes+1))
	switch {
	case err != nil:
		return value, fmt.Errorf("reading %s from %s: %w", what, address, err)
	case len(body) > adminBytes:
		return value, fmt.Errorf("%s answered %s of more than %d bytes", address, what, adminBytes)
	case response.Header.Get(controlplane.ErrorHeader) != "":
		return value, errors.New(strings.TrimSpace(string(body)))
	case response.StatusCode != http.StatusOK || json.Unmarshal(body, &value) != nil:
		return value, fmt.Errorf("%s answered %s, but not with %s; is this the --admin-address of podway serve?", address, response.Status, what)
	}
	return value, nil
}

// dialToAsk connects to a server of which nothing is read until it was asked. A server of gRPC speaks before: what net/http reads on a
// connection without a request is no answer to it, but an error with another name, and a line on stderr.
func dialToAsk(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &askingConn{Conn: conn, asked: make(chan struct{})}, nil
}

// askingConn is a connection whose reads wait for the first write, or for its end.
type askingConn struct {
	net.Conn
	once  sync.Once
	asked chan struct{}
}

func (c *askingConn) ask() { c.once.Do(func() { close(c.asked) }) }

func (c *askingConn) Read(b []byte) (int, error) {
	<-c.asked
	return c.Conn.Read(b)
}

func (c *askingConn) Write(b []byte) (int, error) {
	c.ask()
	return c.Conn.Write(b)
}

func (c *askingConn) Close() error {
	c.ask()
	return c.Conn.Close()
}
