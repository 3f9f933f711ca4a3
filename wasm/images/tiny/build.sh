#!/usr/bin/env bash
# Makes the image `tiny`: BusyBox and a sane /etc in an uncompressed EROFS, byte for byte the same each time.
#
# usage: build.sh BUSYBOX_SOURCE QJS OUT      BUSYBOX_SOURCE: an unpacked, patched source tree, which is built in; QJS: the program
# needs: MUSL_SYSROOT, SOURCE_DATE_EPOCH
set -euo pipefail

source_tree=$1 qjs=$2 out=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# --- BusyBox
make -s -C "$source_tree" defconfig > /dev/null
"$here/../../build/merge-config.sh" "$here/busybox.fragment" "$source_tree/.config"
# oldconfig asks for what is new to it; an empty answer is the default
(yes '' || true) | make -s -C "$source_tree" oldconfig > /dev/null
"$here/../../build/check-config.sh" "$here/busybox.fragment" "$source_tree/.config"
make -s -C "$source_tree" -j"$(nproc)" CC="$MUSL_SYSROOT/bin/cc" HOSTCC=gcc busybox
"$here/../../build/check-x87.sh" "$source_tree/busybox" "$qjs"

# --- The tree. One folder holds every program, the three other names of it are links, so that both /bin/env and /usr/bin/env are right
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
umask 022
chmod 0755 "$root"
mkdir -p "$root"/{dev,etc/profile.d,home,media,mnt,opt,proc,run/lock,srv,sys}
mkdir -p "$root"/usr/{bin,lib,share,local/{bin,sbin,lib,share}}
mkdir -p "$root"/var/{cache,lib,log,spool,www}
mkdir -m 0700 "$root/root"
mkdir -m 1777 "$root/tmp" "$root/var/tmp"
ln -s usr/bin "$root/bin"
ln -s usr/bin "$root/sbin"
ln -s usr/lib "$root/lib"
ln -s bin "$root/usr/sbin"
ln -s ../run "$root/var/run"
ln -s ../run/lock "$root/var/lock"

install -m 0755 "$source_tree/busybox" "$root/usr/bin/busybox"
install -m 0755 "$qjs" "$root/usr/bin/qjs"
# Links, not hard links: a box that replaces one program must not get a private copy of all of them
"$source_tree/busybox" --list | while read -r applet; do
  [ "$applet" = busybox ] || ln -s busybox "$root/usr/bin/$applet"
done

cp "$here"/etc/* "$root/etc/"
chmod 0644 "$root"/etc/*
chmod 0755 "$root/etc/profile.d"
chmod 0640 "$root/etc/shadow"
ln -s /proc/mounts "$root/etc/mtab"

# --- EROFS: no compression (the host packs and unpacks far faster than the guest), no extended attributes, small inodes
"$here/../../build/erofs.sh" "$root" "$out" b0c5d15c-0b0a-4e2b-9c52-7119a0000001
