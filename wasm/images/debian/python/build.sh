#!/usr/bin/env bash
# Compiles Python for the image: i686 with SSE2, 64-bit time_t, and mathematics of its own inside it. Installs it into /build/installed.
#
# usage: build.sh      in the tree of build/tree.mjs, with the source in /build/python, musl with musl.patch in /build/musl and wasm/libm in /build/libm
# needs: SOURCE_DATE_EPOCH
set -euo pipefail
cd /build

# --- libm, into each program and extension that uses it, and seen by no other
libm/objects.sh musl musl-objects gcc -fPIC -fvisibility=hidden
rm -f libm.a
ar rcD libm.a musl-objects/*.lo

# --- As Debian configures it, less what cannot matter in a box (dtrace). What extensions of users are compiled with, too, is in CFLAGS
arithmetic="-march=i686 -msse2 -mfpmath=sse $(echo -fno-builtin-{fmod,remainder,drem}{,f,l})"
mkdir -p python/out
cd python/out
env CFLAGS="$arithmetic" \
  CFLAGS_NODIST="-D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64 -fwrapv -O2 -g0 -ffile-prefix-map=/build/python=." \
  LIBFFI_CFLAGS= LIBFFI_LIBS=-lffi \
  ac_cv_sizeof_time_t=8 ac_cv_gcc_asm_for_x87=no ac_cv_broken_nice=no \
  ../configure --build=i686-linux-gnu --prefix=/usr --libdir=/usr/lib/i386-linux-gnu --enable-ipv6 \
  --enable-loadable-sqlite-extensions --with-dbmliborder=bdb:gdbm --with-computed-gotos --without-ensurepip \
  --with-system-expat --with-ssl-default-suites=openssl --with-system-libmpdec=no \
  --with-wheel-pkg-dir=/usr/share/python-wheels/ --with-libm=/build/libm.a MKDIR_P="/bin/mkdir -p" > configure.log

# --- Modules that are in the program itself, as Debian has them
builtin=$(awk '$2 == "extension" { printf "%s|", $1 }' ../debian/PVER-minimal.README.Debian.in)
grep -E "^#($builtin//)" ../Modules/Setup | sed -e 's/^#//' -e 's/-Wl,-Bdynamic//;s/-Wl,-Bstatic//' >> Modules/Setup.local
../Modules/makesetup -c ../Modules/config.c.in -s Modules \
  Modules/Setup.local Modules/Setup.bootstrap Modules/Setup.stdlib ../Modules/Setup
mv config.c Modules/
make -s Makefile Modules/config.c > /dev/null
# The one module that names libm by itself, before what needs it
sed -i 's|^MODULE__DECIMAL_LDFLAGS=-lm \(.*\)|MODULE__DECIMAL_LDFLAGS=\1 /build/libm.a|' Makefile

make -s -j"$(nproc)" > make.log 2>&1
rm -rf /build/installed
make -s install DESTDIR=/build/installed > install.log 2>&1
