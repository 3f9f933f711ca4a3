#!/usr/bin/env bash
# Compiles musl's libm from its portable C: every function of <math.h>, of long double, too, without one instruction of the x87 that v86 computes
# imprecisely. The floating point of double and float is SSE2's.
#
# usage: objects.sh MUSL_TREE OUT CC FLAGS...
#   OUT     a folder; gets NAME.lo of each src/math/NAME.c
#   FLAGS   those of build/arithmetic.sh, and more
# needs: a tree with musl.patch applied
set -euo pipefail

tree=$1 out=$2
shift 2

make -s -C "$tree" ARCH=i386 obj/include/bits/alltypes.h obj/include/bits/syscall.h
rm -rf "$out"
mkdir -p "$out"
out=$(realpath "$out")
cd "$tree"
# As musl's own build, less its i386 folder
flags=(-O2 -std=c99 -nostdinc -ffreestanding -fexcess-precision=standard -frounding-math
  -fno-strict-aliasing -Werror=implicit-function-declaration -ffunction-sections -fdata-sections -fno-stack-protector
  -fno-unwind-tables -fno-asynchronous-unwind-tables -Wa,--noexecstack -D_XOPEN_SOURCE=700
  -Iarch/i386 -Iarch/generic -Isrc/include -Isrc/internal -Iobj/include -Iinclude)
printf '%s\n' src/math/*.c |
  xargs -P "$(nproc)" -I{} sh -c 'name=${1##*/} out=$2; shift 2; "$@" -c "$0" -o "$out/${name%.c}.lo"' {} {} "$out" "$@" "${flags[@]}"
