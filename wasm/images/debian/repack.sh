#!/usr/bin/env bash
# Makes a package of Debian's name with our programs in it: all files are those of Debian's package of the same version, but for programs and libraries, which are ours.
# What it depends on is what the image's own release has.
#
# usage: repack.sh TEMPLATE CONTROL INSTALLED VERSION OUT [CHANGE]
#   TEMPLATE   Debian's package whose files these are
#   CONTROL    the image's release's package, whose dependencies these are
#   INSTALLED  the folder in which our programs are under their paths
#   OUT        a folder; gets NAME_VERSION_i386.deb
#   CHANGE     a program that changes other files, in the tree of the package
# needs: SOURCE_DATE_EPOCH
set -euo pipefail

template=$1 control=$2 installed=$(realpath "$3") version=$4 out=$(realpath "$5") change=${6:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
tree=$work/tree
dpkg-deb -R "$template" "$tree"
cd "$tree"

# --- Programs and libraries
find . -type f ! -path './DEBIAN/*' -print0 | while IFS= read -r -d '' file; do
  [ "$(head -c 4 "$file" | od -An -tx1 | tr -d ' ')" = 7f454c46 ] || continue
  ours=$installed/$file
  [ -f "$ours" ] || { echo "repack: we have no $file of $(basename "$template")" >&2; exit 1; }
  objcopy --strip-unneeded --remove-section=.comment "$ours" "$file"
done
[ -z "$change" ] || "$change"

# --- What it says of itself. Packages of the same source depend on each other by version
theirs=$(dpkg-deb -f "$control" Version)
dpkg-deb -f "$control" | sed -e "s/${theirs//./\\.}/$version/g" \
  -e "s/^Installed-Size: .*/Installed-Size: $(du -k --apparent-size -s . | cut -f1)/" > DEBIAN/control
find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum > DEBIAN/md5sums
if [ -f DEBIAN/conffiles ]; then
  # Debian's lists leave the files of /etc to conffiles.
  grep -v '  etc/' DEBIAN/md5sums > "$work/md5sums"
  mv "$work/md5sums" DEBIAN/md5sums
fi
find . -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
name=$(dpkg-deb -f "$control" Package)
dpkg-deb --root-owner-group -Zxz -b . "$out/${name}_${version}_i386.deb" > /dev/null
