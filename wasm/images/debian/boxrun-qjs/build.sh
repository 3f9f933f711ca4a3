#!/usr/bin/env bash
# Makes the package boxrun-qjs, as a tree in /build/installed, of a program that is built already. Runs in the tree of build/tree.mjs, with the program and the licences in /build/qjs.
set -euo pipefail
cd /build
doc=installed/usr/share/doc/boxrun-qjs
mkdir -p installed/DEBIAN $doc

# The lock names the version that was compiled
version=$(sed -n 's/^Version: //p' control)
found=$(qjs/qjs --version)
if [ "$found" != "$version" ]; then
  echo "boxrun-qjs: control has the version $version, the program is $found" >&2
  exit 1
fi

install -D qjs/qjs installed/usr/bin/qjs
install -m 0644 control installed/DEBIAN/
{
  cat copyright
  for part in quickjs-ng quickjs musl; do
    printf '\n\n---- %s ----\n\n' $part
    cat qjs/$part.copyright
  done
} > $doc/copyright
