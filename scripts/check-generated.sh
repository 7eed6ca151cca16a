#!/bin/sh
# Fails where the deep copies or the CRDs are not what controller-gen makes of api/. Changes nothing, so that it
# tells the truth in a tree with uncommitted changes too. Run it by `make check-generated`.
set -eu
controller_gen=$1
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$controller_gen" object paths=./api/v1alpha1 output:object:dir="$work/object"
"$controller_gen" crd paths=./api/v1alpha1 output:crd:dir="$work/crds"
if ! diff -u api/v1alpha1/zz_generated.deepcopy.go "$work/object/zz_generated.deepcopy.go" || ! diff -ru deploy/crds "$work/crds"; then
	echo "generated code is not up to date: run \`make generate\` and commit what it changes" >&2
	exit 1
fi
