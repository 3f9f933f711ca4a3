#!/usr/bin/env bash
# Puts a fragment's options into a .config, replacing what it said of them.
#
# usage: merge-config.sh FRAGMENT CONFIG
set -euo pipefail

fragment=$1 config=$2

awk '
  # The name of the option a line sets or unsets, or nothing
  function option(line) {
    if (line ~ /^CONFIG_[A-Za-z0-9_]+=/) { sub(/=.*/, "", line); return line }
    if (line ~ /^# CONFIG_[A-Za-z0-9_]+ is not set$/) { split(line, word, " "); return word[2] }
    return ""
  }
  NR == FNR { if (option($0) != "") { wanted[option($0)] = 1; lines[++count] = $0 } ; next }
  !(option($0) in wanted) { print }
  END { for (i = 1; i <= count; i++) print lines[i] }
' "$fragment" "$config" > "$config.merged"
mv "$config.merged" "$config"
