#!/usr/bin/env bash
# Builds libm.so.6 of the image `debian`: a library that the loader finds before Debian's, and that has Debian's behind it for all other names.
#
# usage: shared.sh MUSL_TREE OUT      in the tree of build/tree.mjs, beside this folder's files, with build/arithmetic.sh in /build
# needs: a tree with musl.patch applied
set -euo pipefail

source /build/arithmetic.sh
tree=$1 out=$2
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$here/objects.sh" "$tree" "$work/musl" gcc $arithmetic -fPIC -fvisibility=hidden
cd "$work"

# musl's names are out of the way of those that wrappers.c gives to others
ld -m elf_i386 -r -o all.o musl/*.lo
nm --defined-only -g all.o | awk '{ print $3, "musl_" $3 }' > names
objcopy --redefine-syms=names all.o

# Each name in each of its versions, all with the same code. A program's request for a version is looked for here first: so all that there are must be defined, and some to come
awk '!/^#/ {
  target = substr($1, 1, length($1) - 1)
  for (i = 2; i <= NF; i++) {
    alias = "alias_" NR "_" i
    printf ".globl %s\n.type %s, @function\n.set %s, boxrun_%s\n.symver %s, %s, remove\n", alias, alias, alias, target, alias, $i
  }
}' "$here/exports.txt" > names.s
{
  cat "$here/wrappers.c"
  printf '__asm__(\n'
  sed 's/.*/"&\\n"/' names.s
  printf ');\n'
} > library.c
awk '!/^#/ { for (i = 2; i <= NF; i++) { split($i, part, /@+/); of[part[2]] = of[part[2]] " " part[1] ";" } }
END {
  last = ""
  for (minor = 0; minor <= 60; minor++) {
    version = "GLIBC_2." minor
    printf "%s {%s%s }%s;\n", version, of[version] == "" ? "" : " global:" of[version], minor == 0 ? " local: *;" : "", last
    last = " " version
  }
}' "$here/exports.txt" > versions.map

# Debian's own, by its path: under its name the loader would find this one again
cat > behind.c << 'C'
int signgam, __signgam;
C
echo 'GLIBC_2.0 { global: signgam; local: *; }; GLIBC_2.23 { global: __signgam; } GLIBC_2.0;' > behind.map
gcc -shared -nostdlib -Wl,-soname,/lib/i386-linux-gnu/libm.so.6 -Wl,--version-script=behind.map -o behind.so behind.c

gcc -shared -fPIC -O2 -std=gnu11 -Wall -Wextra -Werror $arithmetic -frounding-math -fexcess-precision=standard -ffreestanding -fno-builtin \
  -fvisibility=default -Wl,-soname,libm.so.6 -Wl,--version-script=versions.map -Wl,-Bsymbolic -Wl,-z,now -Wl,--gc-sections -Wl,--no-as-needed \
  -s -o "$out" library.c all.o behind.so
