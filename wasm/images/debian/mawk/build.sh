#!/usr/bin/env bash
# Compiles mawk for the image as Debian does, for SSE2 and with 64-bit time_t. Runs in the tree of build/tree.mjs, with the source in /build/mawk.
# needs: SOURCE_DATE_EPOCH
set -euo pipefail
cd /build/mawk

DEB_BUILD_MAINT_OPTIONS=hardening=+all
source /build/buildflags.sh
./configure --build=i686-linux-gnu --prefix=/usr > configure.log 2>&1
make -s mawk > make.log 2>&1
make -s mawk_test fpe_test > test.log 2>&1
install -D mawk /build/installed/usr/bin/mawk
