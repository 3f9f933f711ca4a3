/**
 * Scripts that assemble a file in a box: POSIX shell, with the programs that BusyBox has. Data that has been sent waits in a directory beside the file
 * (`/dir/.boxrun-ID`, or `/tmp/.boxrun-ID`), which only its owner can look into: "piece" is the last piece, "part" everything so far. `/dir/.boxrun-ID.new`
 * beside the target is the whole file before it gets its name.
 */

import { followLinks } from "../../util/follow-links.js";

/** Exit codes of the scripts that do not mean the failure of a program. */
export const CODES = {
  wrongPiece: 65,
  inPlaceFailed: 66,
  isThere: 67,
  isInPlace: 68,
  noRoom: 69,
  inPlaceNoRoom: 73,
} as const;

/** Errors for a target that cannot be written, by exit code. */
export const REFUSALS: Readonly<Record<number, { code: string; text: string }>> = {
  70: { code: "EISDIR", text: "is a directory" },
  71: {
    code: "EINVAL",
    text: "not a regular file but a FIFO or socket, which may never have a reader (EINVAL)",
  },
  72: { code: "ELOOP", text: "too many levels of symbolic links" },
};

/** Sets `$t` to the file that the path in `$1` leads to, if that can be written. */
const TARGET = `${followLinks("$1", 72)}if [ -d "$t" ]; then exit 70; fi
if [ -p "$t" ] || [ -S "$t" ]; then exit 71; fi
`;
/** Sets `$new` to the name of the whole file beside `$t`. `$2` is the directory of the parts. */
const NEW = `new=\${t%/*}/\${2##*/}.new
`;

/**
 * Exits with 0 for a file that does not exist yet, else with a code that says how it is to be written. `$1`: its path, `$2`: the directory of the parts, which
 * may or may not exist.
 */
export const INSPECT = `${TARGET}[ -e "$t" ] || [ -L "$1" ] || exit 0
[ -e "$t" ] && [ ! -f "$t" ] && exit ${CODES.isInPlace}
mkdir -m 700 "$2" 2> /dev/null || exit ${CODES.isInPlace}
rmdir "$2"
exit ${CODES.isThere}`;

/** `fail FULL [OTHER]`: exits with the code FULL when the error of a program in `$why` says that there is no room; else with OTHER, or 1. */
const FAIL = `fail() {
  case $why in *": No space left on device" | *": Disk quota exceeded" | *": Quota exceeded") exit "$1" ;; esac
  exit "\${2:-1}"
}
export LC_ALL=C
`;

/** Creates the directory of the parts, `$1`. */
export const PREPARE = `${FAIL}why=$( { mkdir -p "\${1%/*}/" && mkdir -m 700 "$1"; } 2>&1) && exit 0
fail ${CODES.noRoom}`;

/** Appends a piece. `$1`: the directory of the parts, `$2`: the piece's size, `$3`: its SHA-256 or nothing, `$4`: the size of what came before it. */
export const APPEND = `${FAIL}set -e
umask 077
cd "$1"
[ "$(wc -c < piece)" -eq "$2" ] || exit ${CODES.wrongPiece}
if [ -n "$3" ] && command -v sha256sum > /dev/null; then
  sum=$(sha256sum < piece); [ "\${sum%% *}" = "$3" ] || exit ${CODES.wrongPiece}
fi
[ "$4" -eq 0 ] || [ "$(wc -c < part)" -eq "$4" ]
if why=$(cat piece 2>&1 >> part); then exec rm -f piece; fi
fail ${CODES.noRoom}`;

/**
 * Puts the file in its place. `$1`: its path, `$2`: the directory of the parts, `$3`: its size, `$4`: its mode, or nothing for that of the existing file, `$5`:
 * the mode of a new one.
 *
 * A regular file is replaced by a rename from beside it, and keeps its owner. A target is written in place only if it is known that it cannot be replaced: a
 * device, a file in a directory that takes no new ones or none of the target's owner, a mount. Any other failure, such as a full disk, leaves the target as it
 * was.
 */
export const FINISH = `${TARGET}${NEW}${FAIL}set -e
umask 077
from=$2/part
is_whole() { [ "$(wc -c < "$from")" -eq "$1" ]; }
is_whole "$3"
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM ALRM
finish() { rm -rf "$2" || :; exit 0; }
beside() {
  why=$(mv -f "$from" "$new" 2>&1) || fail ${CODES.noRoom}
  from=$new
  is_whole "$1"
}
if [ ! -e "$t" ]; then
  why=$(mkdir -p "\${t%/*}/" 2>&1) || fail ${CODES.noRoom}
  beside "$3"
  chmod "\${4:-$5}" "$new"
  mv -f "$new" "$t"
  finish "$@"
fi
if [ -f "$t" ]; then
  mode=\${4:-$(stat -c %a "$t")}
  owner=$(stat -c %u:%g "$t")
  if (: > "$new") 2> /dev/null && chown "$owner" "$new" 2> /dev/null && chmod "$mode" "$new" 2> /dev/null; then
    beside "$3"
    chown "$owner" "$new"
    chmod "$mode" "$new"
    if mv -f "$new" "$t" 2> /dev/null; then finish "$@"; fi
    is_whole "$3"
  fi
fi
exec 3< "$from"
why=$(cat <&3 2>&1 > "$t") || fail ${CODES.inPlaceNoRoom} ${CODES.inPlaceFailed}
if [ -n "$4" ]; then chmod "$4" "$t"; fi
finish "$@"`;

/** Removes everything that is left of an upload. `$1`: the path of the file, `$2`: the directory of the parts. */
export const DISCARD = `rm -rf "$2"
${followLinks("$1", 72)}${NEW}rm -f "$new"`;
