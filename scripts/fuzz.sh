#!/bin/sh
# Runs every fuzz test of the module for a time such as 10s. Run it by `make fuzz`.
set -eu
for package in $(go list ./...); do
	for name in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "$package $name"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "$1" "$package"
	done
done
