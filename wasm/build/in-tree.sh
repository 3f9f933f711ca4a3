#!/bin/sh
# Runs a command in a tree of Debian for i386, as root, with mounts, processes and a network of its own, and without the caller's variables.
# All its processes end when the command does, or when the process that called this program does.
#
# usage: in-tree.sh [--build FOLDER] TREE [NAME=VALUE...] COMMAND [ARGUMENT...]
#   FOLDER   is /build in the tree, so that its path is the same wherever it is
set -eu

build=
if [ "$1" = --build ]; then
  build=$2
  shift 2
fi
tree=$1
shift
exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --net sh -euc '
  tree=$0 build=$1
  shift
  [ -z "$build" ] || mount --bind "$build" "$tree/build"
  mount -t proc proc "$tree/proc"
  mount --bind /dev "$tree/dev"
  exec setarch i686 chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin LC_ALL=C TZ=UTC "$@"
' "$tree" "$build" "$@"
