#!/usr/bin/env bash
# Builds qjs, the JavaScript of both images: QuickJS-ng as one static program without a library.
#
# usage: build.sh QJS_SOURCE REPL OUT      QJS_SOURCE: the folder of quickjs.c; REPL: repl.js of the QuickJS that it comes from
# needs: MUSL_SYSROOT
set -euo pipefail

source_tree=$1 repl=$2 out=$3
cc=$MUSL_SYSROOT/bin/cc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp "$source_tree"/*.[ch] "$work/"
mkdir "$work/gen"
cd "$work"
# Executables of scripts need a part that Debian's package of the sources lacks. Where the program believes that it cannot make them, it does not know the option
sed -i 's/^#define emscripten_or_wasi 0$/#define emscripten_or_wasi 1/' qjs.c
grep -q '^#define emscripten_or_wasi 1$' qjs.c
# What is piped into it is a program, not somebody at a prompt, which would wait for ever at the end of the input
sed -i -e 's|^        } else if (optind >= argc) {$|        } else if (optind >= argc \&\& (interactive \|\| isatty(STDIN_FILENO))) {|' \
  -e 's|^            filename = argv\[optind\];$|            filename = optind < argc \&\& strcmp(argv[optind], "-") ? argv[optind] : "/dev/stdin";|' qjs.c
grep -q 'interactive || isatty(STDIN_FILENO)' qjs.c
grep -q ': "/dev/stdin";' qjs.c
echo 'const unsigned char qjsc_standalone[1] = {0}; const unsigned qjsc_standalone_size = 0;' > gen/standalone.c

flags=(-O2 -fwrapv -funsigned-char -ffunction-sections -fdata-sections -D_GNU_SOURCE -Wl,--gc-sections -s)
library=(quickjs.c libregexp.c libunicode.c dtoa.c quickjs-libc.c)
printf '%s\n' "${library[@]}" qjs.c qjsc.c gen/standalone.c |
  xargs -P "$(nproc)" -I{} sh -c 'source=$1; shift; "$@" -c "$source" -o "$source.o"' sh {} "$cc" "${flags[@]}"
objects=("${library[@]/%/.o}")

# The prompt, compiled by the same program. The modules have other names in this QuickJS
sed 's/ from "\(std\|os\)"/ from "qjs:\1"/' "$repl" > repl.js
grep -q 'from "qjs:std"' repl.js
"$cc" "${flags[@]}" qjsc.c.o "${objects[@]}" -lm -lpthread -o qjsc
./qjsc -ss -m -N qjsc_repl -o gen/repl.c repl.js
"$cc" "${flags[@]}" -c gen/repl.c -o gen/repl.c.o

"$cc" "${flags[@]}" qjs.c.o "${objects[@]}" gen/repl.c.o gen/standalone.c.o -lm -lpthread -o "$out"
