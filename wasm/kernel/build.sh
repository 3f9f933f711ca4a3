#!/usr/bin/env bash
# Builds the guest kernel: tinyconfig plus config.fragment. The same source and compiler give the same bytes, wherever and whenever it is built.
#
# usage: build.sh LINUX_TREE WORK OUT      LINUX_TREE stays untouched, WORK is emptied first, OUT is the bzImage
# needs: SOURCE_DATE_EPOCH
set -euo pipefail

tree=$1 work=$2 out=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

rm -rf "$work"
mkdir -p "$work"

# What `uname -v` and /proc/version say must not depend on the machine
KBUILD_BUILD_TIMESTAMP=$(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y-%m-%d %H:%M:%S UTC')
export KBUILD_BUILD_TIMESTAMP KBUILD_BUILD_USER=boxrun KBUILD_BUILD_HOST=boxrun KBUILD_BUILD_VERSION=1

build() { make -s -C "$tree" ARCH=i386 O="$work" "$@"; }

build tinyconfig > /dev/null
"$here/../build/merge-config.sh" "$here/config.fragment" "$work/.config"
build olddefconfig > /dev/null
"$here/../build/check-config.sh" "$here/config.fragment" "$work/.config"
build -j"$(nproc)" bzImage

cp "$work/arch/x86/boot/bzImage" "$out"
