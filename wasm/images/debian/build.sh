#!/usr/bin/env bash
# Makes the image `debian` from the locked packages and our own: an uncompressed EROFS, byte for byte the same each time.
#
# usage: build.sh PACKAGES OFFERED OUT
#   PACKAGES   a folder of exactly the packages that go in
#   OFFERED    a folder of packages that apt in a box finds in the image itself
# needs: SOURCE_DATE_EPOCH, INCLUDE (names, separated by commas)
set -euo pipefail

packages=$(realpath "$1") offered=$(realpath "$2") out=$(realpath -m "$3")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
root=$work/root
# Byte code that an import writes has time stamps in it, and compileall would not replace it
export PYTHONDONTWRITEBYTECODE=1

# --- A repository of these packages alone: what is not locked cannot come in
mkdir "$work/repository"
ln "$packages"/*.deb "$work/repository/" 2> /dev/null || cp "$packages"/*.deb "$work/repository/"
(cd "$work/repository" && dpkg-scanpackages --multiversion . > Packages 2> /dev/null)
mmdebstrap --quiet --mode=auto --variant=apt --architectures=i386 --include="$INCLUDE" \
  --setup-hook='mkdir -p "$1/etc/dpkg/dpkg.cfg.d"; cp '"$here"'/dpkg.cfg "$1/etc/dpkg/dpkg.cfg.d/slim"' \
  trixie "$root" "deb [trusted=yes] copy:$work/repository ./"

# --- Our configuration of OpenSSL stands before Debian's. What is diverted is a link to a file that Debian and the user may change, so that an upgrade neither asks nor loses anything
dpkg-divert --quiet --root="$root" --local --rename --divert /usr/lib/ssl/openssl.cnf.debian --add /usr/lib/ssl/openssl.cnf

# --- What a machine makes for itself, and what only a build needs
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/* "$root"/var/log/* "$root"/tmp/* "$root"/run/*
rm -f "$root"/etc/machine-id "$root"/var/lib/dbus/machine-id "$root"/etc/apt/sources.list.d/* "$root"/var/lib/dpkg/*-old
# Licences stay
find "$root/usr/share/doc" ! -type d ! -name copyright -delete
find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
rm -rf "$root"/usr/share/man "$root"/usr/share/info "$root"/usr/share/lintian "$root"/usr/share/bug "$root"/usr/share/locale
rm -rf "$root"/dev && mkdir "$root/dev"
mkdir -p "$root"/var/{cache/apt/archives/partial,lib/apt/lists/partial,log/apt}
: > "$root/etc/machine-id"
# With fixed modes, whatever the work tree's are
(cd "$here/root" && find . -type f) | while read -r file; do install -D -m 0644 "$here/root/$file" "$root/$file"; done
ln -s /usr/bin/python3 "$root/usr/local/bin/python"

# --- Packages of ours that others depend on by their exact versions
own=$root/usr/share/boxrun/packages
mkdir -p "$own"
cp "$offered"/*.deb "$own/"
chmod 0644 "$own"/*.deb
(cd "$own" && dpkg-scanpackages --multiversion . > Packages 2> /dev/null)
"$here/../../build/in-tree.sh" "$root" apt-get update -qq -o Dir::Etc::SourceList=/etc/apt/sources.list.d/boxrun.list -o Dir::Etc::SourceParts=/dev/null
rm -f "$root"/var/cache/apt/*.bin
# apt made this file when it ran here without a /dev. A box mounts its own /dev over it, and without it the image would have other bytes
: > "$root/dev/null"

# --- Python's byte code, beside its sources as Python wants it, and checked against nothing: the image is read-only, and its time stamps are all one
find "$root/usr/lib" -name __pycache__ -type d -prune -exec rm -rf {} +
"$here/../../build/in-tree.sh" "$root" PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 \
  /usr/bin/python3 -m compileall -q --invalidation-mode unchecked-hash /usr/lib/python3.13 /usr/lib/python3/dist-packages

# --- What computes imprecisely in the emulator is what docs/internals/arithmetic.md says: where this list changes, so must that
"$here/elf-files.sh" "$root" | while IFS= read -r -d '' file; do
  "$here/../../build/check-x87.sh" "$root/$file" 2> /dev/null || echo "${file#./}"
done > "$work/imprecise.txt"
diff "$here/imprecise.txt" "$work/imprecise.txt" >&2

"$here/../../build/erofs.sh" "$root" "$out" b0c5d15c-0b0a-4e2b-9c52-7119a0000002
