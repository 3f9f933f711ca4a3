# Sourced: the flags of everything that is compiled for the image's glibc, in `arithmetic`. Floating point is SSE2's; and gcc would write the functions named here as a loop of fprem,
# which the emulator computes imprecisely.
# shellcheck shell=bash
# shellcheck disable=SC2034
arithmetic="-march=i686 -msse2 -mfpmath=sse $(echo -fno-builtin-{fmod,remainder,drem}{,f,l})"
