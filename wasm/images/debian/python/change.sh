#!/usr/bin/env bash
# What our Python says of itself otherwise than Debian's, in the tree of a package: see ../repack.sh.
#
# usage: change.sh PACKAGE INSTALLED
set -euo pipefail
package=$1 installed=$2

case $package in
  libpython3.13-minimal)
    # Extensions that users build compute as the interpreter does
    source "$(dirname "${BASH_SOURCE[0]}")/../../../build/arithmetic.sh"
    data=usr/lib/python3.13/_sysconfigdata__linux_i386-linux-gnu.py
    sed -i -e "s/^\( *'CFLAGS': '.*\)',$/\1 $arithmetic',/" -e "s/^\( *'SIZEOF_TIME_T': \)4,/\18,/" \
      -e "s/^\( *'\(HAVE_GCC_ASM_FOR_X87\|X87_DOUBLE_ROUNDING\|WITH_DTRACE\)': \)1,/\10,/" $data
    grep -q "CFLAGS.*$arithmetic'" $data
    grep -q "'SIZEOF_TIME_T': 8" $data
    grep -q "'X87_DOUBLE_ROUNDING': 0" $data

    # It looks for a program of Ubuntu's, in four folders, at each start
    customize=etc/python3.13/sitecustomize.py
    [ -f $customize ]
    echo '# Empty: what all Python programs of this system begin with goes here.' > $customize
    ;;
  libpython3.13-dev)
    # Extensions have libc's usual time_t, as the libraries of Debian that they are linked with: nothing of Python's interface to them has one
    header=usr/include/i386-linux-gnu/python3.13/pyconfig.h
    [ -f $header ]
    sed 's/^#define SIZEOF_TIME_T 8$/#define SIZEOF_TIME_T 4/' "$installed/usr/include/python3.13/pyconfig.h" > $header
    grep -q '^#define SIZEOF_TIME_T 4$' $header

    # Archives of 20 MB, for programs that contain Python without its library
    rm usr/lib/python3.13/config-*/{libpython3.13.a,libpython3.13-pic.a,python.o} usr/lib/i386-linux-gnu/libpython3.13.a
    ;;
esac
