#!/usr/bin/env bash
# Compiles Python for the image: i686 with SSE2, 64-bit time_t, and mathematics of its own inside it. Installs it into /build/installed, libpython3.13.so included.
#
# usage: build.sh             with the recorded profile in /build/profile.tar.xz
#        build.sh --record    makes that profile: compiles Python so that it counts what it does, and runs what users run
# It runs in the tree of build/tree.mjs, with the source in /build/python, musl with musl.patch in /build/musl, wasm/libm in /build/libm and build/arithmetic.sh in /build.
# needs: SOURCE_DATE_EPOCH
set -euo pipefail
cd /build
mode=${1:-}

# What extensions of users are compiled with, too
source /build/arithmetic.sh
source /build/quietly.sh
# Like Debian, the program itself is at a fixed address
fixed=/usr/share/dpkg/no-pie
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' python/debian/changelog)

# For the program and the library: Debian's configuration, less what cannot matter in a box (dtrace)
code="-D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64 -fwrapv -O3 -flto=auto -g0 -ffile-prefix-map=/build/python=."
program="-specs=$fixed-compile.specs"
variables=(CFLAGS="$arithmetic" LIBFFI_CFLAGS= LIBFFI_LIBS=-lffi ac_cv_sizeof_time_t=8 ac_cv_gcc_asm_for_x87=no ac_cv_broken_nice=no)
options=(--build=i686-linux-gnu --prefix=/usr --libdir=/usr/lib/i386-linux-gnu --enable-ipv6
  --enable-loadable-sqlite-extensions --with-dbmliborder=bdb:gdbm --with-computed-gotos --without-ensurepip
  --with-system-expat --with-ssl-default-suites=openssl --with-system-libmpdec=no
  --with-wheel-pkg-dir=/usr/share/python-wheels/)
# The system's libm is behind ours: extensions of Debian's that are not linked with libm find it in the program
libm="/build/libm.a -Wl,--push-state,--no-as-needed -lm -Wl,--pop-state"

# Prints what determines how the program is compiled, but not what it is linked with: a profile is valid only for the same
compilation() {
  printf '%s\n' "Python $version" "gcc $(gcc -dumpfullversion)" "CFLAGS_NODIST=$code $program" "${variables[@]}" "${options[@]}"
  (cd /build && sha256sum -- *.patch)
}

# configure FOLDER CFLAGS [ARGUMENT...]
configure() {
  local folder=$1 cflags=$2
  shift 2
  mkdir -p "python/$folder"
  cd "python/$folder"
  quietly env "${variables[@]}" CFLAGS_NODIST="$code $cflags" ../configure "${options[@]}" --with-libm="$libm" MKDIR_P="/bin/mkdir -p" "$@"

  # Modules that are in the program itself, as Debian has them
  local builtin
  builtin=$(awk '$2 == "extension" { printf "%s|", $1 }' ../debian/PVER-minimal.README.Debian.in)
  grep -E "^#($builtin//)" ../Modules/Setup | sed -e 's/^#//' -e 's/-Wl,-Bdynamic//;s/-Wl,-Bstatic//' >> Modules/Setup.local
  ../Modules/makesetup -c ../Modules/config.c.in -s Modules \
    Modules/Setup.local Modules/Setup.bootstrap Modules/Setup.stdlib ../Modules/Setup
  mv config.c Modules/
  make -s Makefile Modules/config.c > /dev/null
  # The one module that names libm by itself, before what needs it
  sed -i 's|^MODULE__DECIMAL_LDFLAGS=-lm \(.*\)|MODULE__DECIMAL_LDFLAGS=\1 /build/libm.a|' Makefile
  cd /build
}

# --- libm, into each program and extension that uses it, and seen by no other
libm/objects.sh musl musl-objects gcc $arithmetic -fPIC -fvisibility=hidden
rm -f libm.a
ar rcD libm.a musl-objects/*.lo

# --- More of what each start imports is in the program: see frozen.patch
(cd python && python3 Tools/build/freeze_modules.py > /dev/null)

if [ "$mode" = --record ]; then
  # As it is compiled with the profile, up to the passes that count; what comes after takes minutes
  configure program "$program -fno-lto -fprofile-generate -fprofile-update=single" LDFLAGS_NODIST="-specs=$fixed-link.specs -fprofile-generate"
  cd python/program
  quietly make -s -j"$(nproc)"
  find . -name '*.gcda' -delete
  export PYTHONHASHSEED=0
  # A run that fails in the middle would give a profile of half a run
  quietly ./python -m test --pgo --timeout=600
  # Starts are what a box does most, so most of what is counted is starts: what is seldom run is compiled for size
  for _ in $(seq 500); do
    ./python -c 'print(42)'
    ./python -c 'import json, re, sys, os, math; print(json.dumps({"a": [1, 2.5, None]}), re.sub("a+", "b", "caat"), math.sqrt(2))'
    echo 'print(42)' | ./python -
  done > /dev/null
  for _ in $(seq 50); do
    ./python -c 'import argparse, asyncio, collections, csv, datetime, pathlib, random, subprocess, typing, urllib.request'
  done
  compilation > profile-of
  { echo ./profile-of; find . -name '*.gcda' -print; } | LC_ALL=C sort | tar --create --xz --file=/build/profile.tar.xz --files-from=- --sort=name --owner=0 --group=0 --numeric-owner --mode=0644 --mtime="@$SOURCE_DATE_EPOCH"
  exit
fi

# --- The program
mkdir -p python/program
tar -xf profile.tar.xz -C python/program
compilation > compilation
diff python/program/profile-of compilation >&2 || {
  echo 'profile.tar.xz was recorded for another compilation (above: < the recorded one, > this one): run npm run image -- --profile' >&2
  exit 1
}
configure program "$program -fprofile-use -fprofile-correction -Wno-missing-profile" LDFLAGS_NODIST="-specs=$fixed-link.specs"
(cd python/program && quietly make -s -j"$(nproc)")
rm -rf installed
(cd python/program && quietly make -s install DESTDIR=/build/installed)
objdump -p installed/usr/bin/python3.13 | grep 'NEEDED *libm\.so\.6' > /dev/null || { echo 'python3.13 does not load libm.so.6, which extensions of Debian count on' >&2; exit 1; }

# --- For programs that have a Python in them
configure library "-fPIC -fno-lto" --enable-shared
(cd python/library && quietly make -s -j"$(nproc)" libpython3.13.so)
cp python/library/libpython3.13.so.1.0 installed/usr/lib/i386-linux-gnu/
