#!/usr/bin/env bash
# What our Python says of itself otherwise than Debian's, in the tree of a package: see ../repack.sh.
#
# usage: change.sh INSTALLED
set -euo pipefail
installed=$1

# Extensions that users build compute as the interpreter does
source "$(dirname "${BASH_SOURCE[0]}")/../../../build/arithmetic.sh"
data=usr/lib/python3.13/_sysconfigdata__linux_i386-linux-gnu.py
if [ -f $data ]; then
  sed -i -e "s/^\( *'CFLAGS': '.*\)',$/\1 $arithmetic',/" -e "s/^\( *'SIZEOF_TIME_T': \)4,/\18,/" \
    -e "s/^\( *'\(HAVE_GCC_ASM_FOR_X87\|X87_DOUBLE_ROUNDING\|WITH_DTRACE\)': \)1,/\10,/" $data
  grep -q "CFLAGS.*$arithmetic'" $data
  grep -q "'SIZEOF_TIME_T': 8" $data
  grep -q "'X87_DOUBLE_ROUNDING': 0" $data
fi
header=usr/include/i386-linux-gnu/python3.13/pyconfig.h
if [ -f $header ]; then
  # Extensions have libc's usual time_t, as the libraries of Debian that they are linked with: nothing of Python's interface to them has one
  sed 's/^#define SIZEOF_TIME_T 8$/#define SIZEOF_TIME_T 4/' "$installed/usr/include/python3.13/pyconfig.h" > $header
  grep -q '^#define SIZEOF_TIME_T 4$' $header
fi

# Archives of 20 MB, for programs that contain Python without its library
rm -f usr/lib/python3.13/config-*/{libpython3.13.a,libpython3.13-pic.a,python.o} usr/lib/i386-linux-gnu/libpython3.13.a

# It looks for a program of Ubuntu's, in four folders, at each start
customize=etc/python3.13/sitecustomize.py
if [ -f $customize ]; then echo '# Empty: what all Python programs of this system begin with goes here.' > $customize; fi
