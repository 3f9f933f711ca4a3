#!/usr/bin/env bash
# Compiles mawk for the image as Debian does, for SSE2 and with 64-bit time_t. Runs in the tree of build/tree.mjs, with the source in /build/mawk.
# needs: SOURCE_DATE_EPOCH
set -euo pipefail
cd /build/mawk

DEB_BUILD_MAINT_OPTIONS=hardening=+all
source /build/buildflags.sh
source /build/quietly.sh
quietly ./configure --build=i686-linux-gnu --prefix=/usr
quietly make -s mawk
quietly make -s mawk_test fpe_test
install -D mawk /build/installed/usr/bin/mawk
