# Sourced: the flags of all programs and libraries of the images, in `arithmetic`. Floating point is SSE2's, since the emulated x87 is slow; and gcc would write the functions named here
# as a loop of fprem, which the emulator computes imprecisely.
# shellcheck shell=bash
# shellcheck disable=SC2034
arithmetic="-march=i686 -msse2 -mfpmath=sse $(echo -fno-builtin-{fmod,remainder,drem}{,f,l})"
