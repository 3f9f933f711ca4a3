#!/usr/bin/env bash
# Makes a package of a tree, the same bytes each time. Adds what follows from the files: sizes, sums, the list of what is in /etc. Fails when a program in it uses an instruction that
# the emulator computes imprecisely.
#
# usage: pack.sh TREE OUT [SUFFIX]
#   TREE     the files, and DEBIAN/ with the control fields, less Installed-Size
#   OUT      a folder; gets NAME_VERSION_ARCHITECTURE.deb
#   SUFFIX   is added to the version
# needs: SOURCE_DATE_EPOCH
set -euo pipefail
export LC_ALL=C

tree=$(realpath "$1") out=$(realpath "$2") suffix=${3:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
cp -a "$tree/." "$work"
cd "$work"

"$here/elf-files.sh" . | xargs -0r "$here/../../build/check-x87.sh"

# As dpkg-gencontrol counts: whole kilobytes, and one for each folder or link
size=$(find . -mindepth 1 ! -path './DEBIAN*' -printf '%y %s\n' | awk '{ n += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print n }')
sed -i -e "/^Architecture:/a Installed-Size: $size" -e "s/^Version: .*/&$suffix/" DEBIAN/control
if [ -d etc ] && [ ! -f DEBIAN/conffiles ]; then find etc -type f -printf '/%p\n' | sort > DEBIAN/conffiles; fi
# The files in /etc are the user's to change
find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z | xargs -0 md5sum > DEBIAN/md5sums
find . -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

field() { sed -n "s/^$1: //p" DEBIAN/control; }
# xz writes other bytes where it has more threads
dpkg-deb --root-owner-group --threads-max=1 -Zxz -b . "$out/$(field Package)_$(field Version)_$(field Architecture).deb" > /dev/null
