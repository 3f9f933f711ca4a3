#!/usr/bin/env bash
# Builds the package boxrun-libm, as a tree in /build/installed. Runs in the tree of build/tree.mjs, with musl with musl.patch in /build/musl and wasm/libm in /build/libm.
# needs: SOURCE_DATE_EPOCH
set -euo pipefail
cd /build
doc=installed/usr/share/doc/boxrun-libm
mkdir -p installed/{DEBIAN,etc/ld.so.conf.d,usr/lib/boxrun} $doc

libm/shared.sh /build/musl /build/libm.so.6
install -m 0644 libm.so.6 installed/usr/lib/boxrun/
# Read before Debian's: the files in this folder are taken by name
echo /usr/lib/boxrun > installed/etc/ld.so.conf.d/000-boxrun.conf
install -m 0644 control installed/DEBIAN/
echo 'activate-noawait ldconfig' > installed/DEBIAN/triggers
cat copyright musl/COPYRIGHT > $doc/copyright
