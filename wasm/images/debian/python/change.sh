#!/usr/bin/env bash
# What our Python says of itself otherwise than Debian's, in the tree of a package: see ../repack.sh.
set -euo pipefail

# Extensions that users build compute as the interpreter does
arithmetic="-march=i686 -msse2 -mfpmath=sse $(echo -fno-builtin-{fmod,remainder,drem}{,f,l})"
data=usr/lib/python3.13/_sysconfigdata__linux_i386-linux-gnu.py
if [ -f $data ]; then
  sed -i -e "s/^\( *'CFLAGS': '.*\)',$/\1 $arithmetic',/" -e "s/^\( *'SIZEOF_TIME_T': \)4,/\18,/" $data
  grep -q "CFLAGS.*$arithmetic'" $data
  grep -q "'SIZEOF_TIME_T': 8" $data
fi

# It looks for a program of Ubuntu's, in four folders, at each start
customize=etc/python3.13/sitecustomize.py
if [ -f $customize ]; then echo '# Empty: what all Python programs of this system begin with goes here.' > $customize; fi
