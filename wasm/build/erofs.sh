#!/usr/bin/env bash
# Packs a tree into an uncompressed EROFS, byte for byte the same each time: one time stamp, fixed UUID, everything owned by root.
#
# usage: erofs.sh TREE OUT UUID [mkfs option ...]      options after the UUID come last: say --force-uid and the like there
set -euo pipefail

tree=$1 out=$2 uuid=$3
shift 3

rm -f "$out"
mkfs.erofs -d0 --quiet -T "$SOURCE_DATE_EPOCH" -U "$uuid" -x -1 -E force-inode-compact --all-root "$@" "$out" "$tree" > /dev/null
