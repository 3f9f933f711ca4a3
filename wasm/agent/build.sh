#!/bin/sh
# Builds the agent, a static i386 program: build.sh OUT
# MUSL_SYSROOT is the directory that wasm/build/sysroot.sh made. The same inputs give the same bytes.
set -eu

out=${1:?usage: build.sh OUT}
cc=${MUSL_SYSROOT:?must name the directory that wasm/build/sysroot.sh made}/bin/cc
case $out in /*) ;; *) out=$PWD/$out ;; esac
cd "$(dirname "$0")"
# The order of the files, and so the bytes, are the same everywhere.
export LC_ALL=C

"$cc" -std=c11 -Wall -Wextra -Werror -Os -fomit-frame-pointer -ffunction-sections -ffile-prefix-map="$PWD"=. \
    -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,noexecstack -Wl,-z,norelro -s \
    *.c -o "$out"
