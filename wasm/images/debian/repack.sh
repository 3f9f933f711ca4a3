#!/usr/bin/env bash
# Makes a package of Debian's name with our programs in it: all files are those of Debian's package of the same version, but for programs and libraries, which are ours.
# What it depends on is what the image's own release has.
#
# usage: repack.sh TEMPLATE CONTROL INSTALLED VERSION OUT [CHANGE]
#   TEMPLATE   Debian's package whose files these are
#   CONTROL    the image's release's package, whose dependencies these are
#   INSTALLED  the folder in which our programs are under their paths
#   OUT        a folder; gets NAME_VERSION_i386.deb
#   CHANGE     a program that changes other files, called with the package's name and INSTALLED in the tree of the package
# needs: SOURCE_DATE_EPOCH
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
template=$1 control=$2 installed=$(realpath "$3") version=$4 out=$(realpath "$5") change=${6:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
tree=$work/tree
dpkg-deb -R "$template" "$tree"
cd "$tree"

[ -z "$change" ] || "$change" "$(dpkg-deb -f "$template" Package)" "$installed"

# --- Programs and libraries
"$here/elf-files.sh" . | while IFS= read -r -d '' file; do
  ours=$installed/$file
  [ -f "$ours" ] || { echo "repack: we have no $file of $(basename "$template")" >&2; exit 1; }
  objcopy --strip-unneeded --remove-section=.comment "$ours" "$file"
done

# --- What it says of itself. Packages of the same source depend on each other by version
theirs=$(dpkg-deb -f "$control" Version)
dpkg-deb -f "$control" | sed -e "s/${theirs//./\\.}/$version/g" -e '/^Installed-Size: /d' \
  -e 's/^Maintainer: \(.*\)/Maintainer: BoxRun\nOriginal-Maintainer: \1/' > DEBIAN/control
"$here/pack.sh" . "$out"
