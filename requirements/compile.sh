#!/bin/sh
# Compile the locks from the .in files: universal, with hashes, and without a registry's host. Needs uv on PATH.
set -eu
cd "$(dirname "$0")"
for name in base dev; do
  uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-annotate --no-header "$name.in" -o "$name.txt"
done
