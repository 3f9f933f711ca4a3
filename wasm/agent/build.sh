#!/bin/sh
# Builds the agent, a static i386 program: build.sh OUT
# MUSL_SYSROOT is the directory that wasm/build/sysroot.sh made. The same inputs give the same bytes.
set -eu

out=${1:?usage: build.sh OUT}
cc=${MUSL_SYSROOT:?must name the directory that wasm/build/sysroot.sh made}/bin/cc
case $out in /*) ;; *) out=$PWD/$out ;; esac
cd "$(dirname "$0")"

"$cc" -std=c11 -Wall -Wextra -Werror -Os -fomit-frame-pointer -ffunction-sections -ffile-prefix-map="$PWD"=. \
    -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,noexecstack -Wl,-z,norelro -s \
    main.c dispatch.c streams.c frames.c exec.c ends.c late.c sessions.c terminal.c pipes.c files.c operations.c box.c hosts.c flush.c port.c give-up.c -o "$out"
