# Sourced by scripts that compile as Debian does: sets CFLAGS, CPPFLAGS and LDFLAGS to Debian's, with our arithmetic, 64-bit time_t and no debugging information.
# Features beside Debian's usual ones may be in DEB_BUILD_MAINT_OPTIONS.
# shellcheck shell=bash
source /build/arithmetic.sh

# The vendor, since the tree's packages are not configured: without, the flags would be empty
export DEB_VENDOR=Debian DEB_BUILD_MAINT_OPTIONS="${DEB_BUILD_MAINT_OPTIONS:+$DEB_BUILD_MAINT_OPTIONS }abi=+time64" DEB_CFLAGS_APPEND="-g0 $arithmetic"
flags=$(dpkg-buildflags --export=sh)
eval "$flags"
if [[ $CFLAGS != *" -O2 "* || $CPPFLAGS != *-D_TIME_BITS=64* ]]; then
  echo "dpkg-buildflags has not given Debian's flags: $CFLAGS $CPPFLAGS" >&2
  exit 1
fi
