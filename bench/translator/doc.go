// Package translator measures the way from YAML to Envoy's resources. It holds
// benchmarks only; see README.md for how to run them.
package translator
