#!/bin/sh
# Builds the real etcd, kube-apiserver and kube-controller-manager that the tests against real API servers run, into
# .cache/kube/VERSION. The first build takes about 7 minutes on 2 cores; afterwards it does nothing. Run it by `make kube`.
set -eu
cd "$(dirname "$0")/.."
version=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' tools/kube/go.mod)
target=$PWD/.cache/kube/$version
if [ -x "$target/etcd" ] && [ -x "$target/kube-apiserver" ] && [ -x "$target/kube-controller-manager" ]; then
	exit 0
fi
echo "make kube: building etcd, kube-apiserver and kube-controller-manager $version; the first time takes some minutes"
mkdir -p "$target"
work=$(mktemp -d "$target/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Unstamped, a server calls itself v0.0.0-master, and clients that look at its version misbehave.
rest=${version#v}
stamp="-s -w -X k8s.io/component-base/version.gitVersion=$version"
stamp="$stamp -X k8s.io/component-base/version.gitMajor=${rest%%.*}"
rest=${rest#*.}
stamp="$stamp -X k8s.io/component-base/version.gitMinor=${rest%%.*}"
go -C tools/etcd build -ldflags '-s -w' -o "$work/etcd" go.etcd.io/etcd/server/v3
for name in kube-apiserver kube-controller-manager; do
	go -C tools/kube build -ldflags "$stamp" -o "$work/$name" "k8s.io/kubernetes/cmd/$name"
done
# Renames: whoever looks sees either no binary or the whole of it.
for name in etcd kube-apiserver kube-controller-manager; do
	mv -f "$work/$name" "$target/$name"
done
echo "make kube: $target"
