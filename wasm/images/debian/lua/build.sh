#!/usr/bin/env bash
# Compiles Lua for the image, for SSE2 and with 64-bit time_t. Runs in the tree of build/tree.mjs, with the source in /build/lua.
# As in Debian's package, the library is inside each program, and the interpreter exports the symbols of liblua5.4.so.0 under their versions, for modules in C.
# needs: SOURCE_DATE_EPOCH
set -euo pipefail
cd /build/lua/src

source /build/buildflags.sh
# What Debian's rules write before they call make
echo '#define DEB_HOST_MULTIARCH "i386-linux-gnu"' > lua5.4-deb-multiarch.h

export compile="gcc -std=gnu99 -Wall -Wextra -DLUA_COMPAT_5_3 -DLUA_USE_LINUX -DLUA_USE_READLINE $CFLAGS $CPPFLAGS"
printf '%s\n' *.c | xargs -P "$(nproc)" -I{} sh -c '$compile -c {}'
ar rcD liblua5.4.a $(ls *.o | grep -vx 'luac\?\.o')
link=(gcc $CFLAGS $LDFLAGS -Wl,--version-script=../debian/version-script)
mkdir -p /build/installed/usr/bin
"${link[@]}" -Wl,-E -o /build/installed/usr/bin/lua5.4 lua.o liblua5.4.a -lreadline -lm
"${link[@]}" -o /build/installed/usr/bin/luac5.4 luac.o liblua5.4.a -lm
