#!/usr/bin/env bash
# Fails when a program or library uses an instruction of the x87 that the emulator computes imprecisely.
#
# usage: check-x87.sh FILE...
set -euo pipefail

SPECIAL='fprem|fprem1|fscale|f2xm1|fyl2x|fyl2xp1|fpatan|fptan|fsin|fcos|fsincos|fxtract'
for file; do
  found=$(objdump -d --no-show-raw-insn "$file" | awk -v special="^($SPECIAL)$" '
    /^[0-9a-f]+ <.*>:$/ { name = $2 }
    $2 ~ special { print $2 " in " name }' | sort | uniq -c)
  if [ -n "$found" ]; then
    printf '%s: instructions of the x87 that v86 computes imprecisely:\n%s\n' "$file" "$found" >&2
    exit 1
  fi
done
