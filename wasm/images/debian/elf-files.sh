#!/usr/bin/env bash
# Lists the programs and libraries in the tree of a package, each name ended by a zero byte.
#
# usage: elf-files.sh TREE
set -euo pipefail
export LC_ALL=C

cd "$1"
find . -type f ! -path './DEBIAN/*' -print0 | sort -z | while IFS= read -r -d '' file; do
  # A short file ends the reading early
  IFS= read -r -N 4 magic < "$file" || true
  if [ "$magic" = $'\x7fELF' ]; then printf '%s\0' "$file"; fi
done
