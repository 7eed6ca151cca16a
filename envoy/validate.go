package envoy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
)

// Validate asks the Envoy at path, or that of Find where path is empty,
// whether it would run with this configuration. It opens no port. Resources that
// the control plane would send are not covered: see Static. What Envoy says against the configuration is in the error.
func Validate(ctx context.Context, path string, b *bootstrapv3.Bootstrap) error {
	_, err := validate(ctx, path, b)
	return err
}

// validate also returns what Envoy said of a configuration that it takes: its warnings.
func validate(ctx context.Context, path string, b *bootstrapv3.Bootstrap) (said string, err error) {
	if path == "" {
		if path, err = Find(); err != nil {
			return "", err
		}
	}
	config, err := MarshalYAML(b)
	if err != nil {
		return "", err
	}
	directory, remove, err := ensureDirectory("")
	if err != nil {
		return "", err
	}
	defer remove()
	file := filepath.Join(directory, "envoy.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return "", fmt.Errorf("writing Envoy's configuration: %w", err)
	}
	output := &tail{}
	cmd := exec.CommandContext(ctx, path, "--mode", "validate", "--config-path", file, "--log-level", "warning", "--disable-hot-restart")
	cmd.Stderr = output
	cmd.WaitDelay = stopGrace
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("validating with Envoy: %w", context.Cause(ctx))
		}
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			return "", fmt.Errorf("envoy refuses the configuration%s", output.lines())
		}
		return "", fmt.Errorf("running Envoy to validate: %w", err)
	}
	return output.lines(), nil
}
