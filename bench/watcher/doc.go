// Package watcher measures how late and how large podway is with many clusters. It holds benchmarks only; see README.md for how to run them.
package watcher
