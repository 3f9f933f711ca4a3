/**
 * Scripts that `box.files` runs in a box: POSIX shell, with the programs that BusyBox has. `$a` and `$b` are the paths, absolute and without a slash at their
 * end. Exit codes are those of {@link ERRORS}.
 */

import { followLinks } from "../util/follow-links.js";

/** Exit codes of the scripts, with the errno that each one means. */
export const ERRORS: Readonly<Record<number, { code: string; text: string }>> = {
  40: { code: "ENOENT", text: "no such file or directory" },
  41: { code: "ENOTDIR", text: "not a directory" },
  42: { code: "EEXIST", text: "file exists" },
  43: { code: "EISDIR", text: "is a directory" },
  44: { code: "ENOTEMPTY", text: "directory not empty" },
  45: { code: "EINVAL", text: "not a regular file, but a FIFO, a socket or a device (EINVAL)" },
  46: { code: "ELOOP", text: "too many levels of symbolic links" },
};

const FORMAT = "%f %s %Y %u %g";

/** Fails with the reason why a path does not exist: ENOTDIR or ENOENT. */
const ABSENT = `below() {
  p=$1
  while p=\${p%/*} && [ -n "$p" ]; do
    if [ -e "$p" ]; then
      [ -d "$p" ] || exit 41
      return
    fi
  done
}
absent() { below "$1"; exit 40; }
`;
const EXISTS = `${ABSENT}[ -e "$a" ] || absent "$a"`;
const IS_THERE = `${ABSENT}[ -e "$a" ] || [ -L "$a" ] || absent "$a"`;

export const STAT = `${EXISTS}
exec stat -L -c '/${FORMAT} .' -- "$a"`;

export const LSTAT = `${IS_THERE}
exec stat -c '/${FORMAT} .' -- "$a"`;

/** Errors for entries that vanish during a listing. */
export const VANISHED = /: No such file or directory$/;

/** A name holds no slash, so that one at the beginning of a line begins an entry, whatever the name before it holds. */
export const LIST = `${EXISTS}
[ -d "$a" ] || exit 41
export LC_ALL=C
cd "$a/" && exec find . -mindepth 1 -maxdepth 1 -exec stat -c '/${FORMAT} %n' -- {} +`;

/** `$1` is the mode. */
export const MKDIR = `export LC_ALL=C
${ABSENT}if [ -e "$a" ] || [ -L "$a" ]; then exit 42; fi
[ -e "\${a%/*}/" ] || absent "$a"
exec mkdir -m "$1" -- "$a"`;

/** `$1` is the mode. */
export const MKDIRS = `export LC_ALL=C
${ABSENT}if [ -d "$a" ]; then exit 0; fi
if [ -e "$a" ] || [ -L "$a" ]; then exit 42; fi
below "$a"
exec mkdir -p -m "$1" -- "$a"`;

/** As rename(2): a file takes the place of a file, a directory that of an empty one. */
export const RENAME = `export LC_ALL=C
${IS_THERE}
[ -d "\${b%/*}/" ] || absent "$b"
[ "$a" = "$b" ] && exit 0
dir=
[ -d "$a" ] && [ ! -L "$a" ] && dir=1
if [ -L "$b" ]; then
  [ "$dir" ] && exit 41
  rm -f -- "$b"
elif [ -d "$b" ]; then
  [ "$dir" ] || exit 43
  rmdir -- "$b" 2> /dev/null || exit 44
elif [ -e "$b" ] && [ "$dir" ]; then exit 41
fi
exec mv -f -- "$a" "$b"`;

export const REMOVE = `${IS_THERE}
if [ -d "$a" ] && [ ! -L "$a" ]; then exit 43; fi
exec rm -f -- "$a"`;

export const REMOVE_ALL = `${IS_THERE}
exec rm -rf -- "$a"`;

/**
 * Complaints of `cp` when something is removed while it copies a directory. BusyBox "can't create" a name when it takes a new file for a link to one that went
 * before it could be copied, because the file system gave both the same inode number.
 */
export const COPY_WARNING =
  /^cp: can(?:not (?:stat|open|access)|'t (?:stat|open|access|create)) .*: No such file or directory$/;

/**
 * `$1`: "r" for directories with what is in them, which join what is in the target. A copy into a FIFO, or over a link to one, would wait for a reader, so
 * these are checked first. A device keeps the mode it has.
 */
export const COPY = `${EXISTS}
export LC_ALL=C
if [ -d "$a" ]; then
  [ "$1" = r ] || exit 43
  if [ -e "$b" ] && [ ! -d "$b" ]; then exit 41; fi
  mkdir -p -- "$b" || exit 41
  cd "$b/" || exit 41
  waits=$(find . \\( -type p -o -type l \\) -exec sh -c 'for f; do if [ -p "$f" ] && [ -f "$0/$f" ]; then echo x; fi; done' "$a" {} +)
  [ -z "$waits" ] || exit 45
  cp -a -- "$a/." "$b/"
  status=$?
  [ -d "$b/" ] || exit 41
  exit $status
fi
[ -f "$a" ] || exit 45
${followLinks("$b", 46)}if [ -d "$t" ]; then exit 43; fi
if [ -p "$t" ] || [ -S "$t" ]; then exit 45; fi
mkdir -p -- "\${t%/*}/" || exit 41
if [ -e "$t" ] && [ ! -f "$t" ]; then cat -- "$a" > "$t" && exit 0; exit 1; fi
exec cp -f -L -p -- "$a" "$t"`;

export const PACK = `${EXISTS}
[ -d "$a" ] || exit 41
export LC_ALL=C
exec tar -C "$a/" -cf - .`;

/** Complaints of `tar`, of GNU and of BusyBox, when its archive is whole: about what has changed, or cannot be in an archive at all. */
export const PACK_WARNING =
  /: (?:No such file or directory|[Ff]ile (?:changed as|removed before) we read it|File shrank by \d+ bytes; padding with zeros|socket ignored|unknown file type(?:; file ignored)?|error exit delayed from previous errors)$/;

/** Notices of `tar`, of GNU and of BusyBox, when it unpacks: none of them is why it failed. */
export const UNPACK_NOTICE =
  /^tar: (?:[Rr]emoving leading |Ignoring unknown extended header keyword|A lone zero block at )|: (?:time stamp .* in the future|implausibly old time stamp .*)$/;

/** `$1`: "z" for an archive that is compressed by gzip. */
export const UNPACK = `export LC_ALL=C
mkdir -p -- "$a" || exit 41
exec tar -C "$a/" -x\${1}f -`;

/** `$b` is the archive. */
export const UNPACK_FILE = `export LC_ALL=C
mkdir -p -- "$a" || exit 41
tar -C "$a/" -x\${1}f "$b"
code=$?
rm -f -- "$b"
exit "$code"`;

export const LINK = 'exec ln -s -- "$a" "$b"';

/**
 * A script with its paths before it. They are written as octal numbers: arguments are text and cannot hold names that are not UTF-8, and digits need no
 * quoting.
 */
export function withPaths(script: string, paths: readonly Uint8Array[]): string {
  const set = paths.map((path, i) => {
    const octal = Array.from(path, (byte) => `\\0${byte.toString(8).padStart(3, "0")}`).join("");
    const name = "ab"[i] as string;
    // The character after the path keeps line ends that a substitution would remove.
    return `${name}=$(printf %b '${octal}.'); ${name}=\${${name}%.}`;
  });
  return [...set, script].join("\n");
}
