package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// The limits of asking a running serve.
const (
	adminClientTimeout = 10 * time.Second
	adminClientBytes   = 64 << 20
)

// addAdminFlag adds the flag that names a running serve, and returns where its value will be.
func addAdminFlag(cmd *cobra.Command) *string {
	address := cmd.Flags().String("admin-address", defaultAdminAddress, "`HOST:PORT` of the admin interface of podway serve")
	complete(cmd, "admin-address")
	return address
}

// askAdmin sends a request to the admin interface of a running serve, and decodes its answer. what says what is asked for.
func askAdmin(ctx context.Context, method, address, path, what string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, adminClientTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, nil)
	if err != nil {
		return usagef("--admin-address %q: want HOST:PORT", address)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy of the environment: it is our own server
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking podway serve at %s: %w; is it running, and is this its --admin-address?", address, errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, adminClientBytes))
	if err != nil {
		return fmt.Errorf("reading %s from %s: %w", what, address, err)
	}
	switch {
	case response.StatusCode == http.StatusOK && json.Unmarshal(body, into) == nil:
		return nil
	case response.Header.Get("X-Podway-Error") != "":
		return errors.New(strings.TrimSpace(string(body)))
	}
	return fmt.Errorf("%s answered %s, but not with %s; is this the --admin-address of podway serve?", address, response.Status, what)
}

// adminError answers a request of a person who asks for what cannot be done.
func adminError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("X-Podway-Error", "1")
	http.Error(w, message, status)
}
