#!/usr/bin/env bash
# Makes the sysroot that everything in user space is built against: Debian's static musl for i386 and the kernel's own headers, in one folder
#   include/  musl's headers, and linux/ asm/ asm-generic/ mtd/ of the kernel that the programs will run on
#   lib/      crt1.o crti.o crtn.o libc.a, whose mathematics is that of libm/: the x87 of the emulator is imprecise
#   bin/cc    gcc as a compiler for it: static, i686 with SSE2 floating point
#
# usage: sysroot.sh MUSL_DEV_DEB MUSL_TREE LINUX_TREE OUT
set -euo pipefail

musl_deb=$1 musl_tree=$2 linux_tree=$3 out=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/arithmetic.sh"

rm -rf "$out"
mkdir -p "$out/unpacked" "$out/bin"
dpkg-deb -x "$musl_deb" "$out/unpacked"
mv "$out/unpacked/usr/include/i386-linux-musl" "$out/include"
mv "$out/unpacked/usr/lib/i386-linux-musl" "$out/lib"
rm -rf "$out/unpacked"

# Each object takes the place of the one of its name. exp_ld.lo holds functions in assembly that have objects of their own in C
"$here/../libm/objects.sh" "$musl_tree" "$out/libm" gcc -m32 $arithmetic
ar d "$out/lib/libc.a" exp_ld.lo
members=$(ar t "$out/lib/libc.a" | wc -l)
ar r "$out/lib/libc.a" "$out"/libm/*.lo
[ "$(ar t "$out/lib/libc.a" | wc -l)" = "$members" ]
rm -rf "$out/libm"

make -s -C "$linux_tree" ARCH=i386 O="$out/kernel" headers > /dev/null
for part in linux asm asm-generic mtd; do
  mv "$out/kernel/usr/include/$part" "$out/include/$part"
done
rm -rf "$out/kernel"

# Only musl's own start files: gcc's crtbegin/crtend register C++ frames, which nothing here has
cat > "$out/lib/static.specs" <<SPECS
*cpp_options:
-nostdinc -isystem $out/include -isystem include%s

*cc1:
%(cc1_cpu) -nostdinc -isystem $out/include -isystem include%s

*startfile:
$out/lib/crt1.o $out/lib/crti.o

*endfile:
$out/lib/crtn.o

*link_libgcc:
-L$out/lib

*lib:
-lc

*libgcc:
libgcc.a%s

*link:
-m elf_i386 -nostdlib -static

SPECS

# One spelling of the compiler for all static programs
cat > "$out/bin/cc" <<CC
#!/bin/sh
exec gcc -m32 $arithmetic -static -no-pie -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables \\
  -specs "$out/lib/static.specs" "\$@"
CC
chmod +x "$out/bin/cc"
