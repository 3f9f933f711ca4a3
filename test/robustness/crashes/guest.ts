/**
 * What writes in the guest. Each load numbers its records and prints a number once it is done with it. What a record holds follows from
 * its number, so that each can be told from every other and from what is damaged.
 *
 * With fsync, before the number is printed:
 *
 * - append: lines of up to a kilobyte, at the end of one file.
 * - files: a file is written beside its place, moved there, and the 16th before it is removed.
 * - blocks: one of 64 blocks is written anew in its place, after a journal that holds the same, as a database does.
 * - large: one of three files of half a megabyte is written anew.
 *
 * Without, so that a record is safe once a flush has begun after its number was told, and has ended:
 *
 * - made: a file is written, and the 16th before it is removed.
 * - moved: a file is written beside its place and moved over the one before.
 * - over: one of eight files is emptied and written anew.
 * - grown: lines, at the end of one file.
 * - held: the same, in a file that stays open.
 * - put: one of four files is written anew by `box.files.write`, from outside.
 */
export const LOADS = [
  "append",
  "files",
  "blocks",
  "large",
  "made",
  "moved",
  "over",
  "grown",
  "held",
  "put",
] as const;
export type Load = (typeof LOADS)[number];

/** Those whose records a flush stores. */
export const UNSYNCED: ReadonlySet<Load> = new Set(["made", "moved", "over", "grown", "held", "put"]);

/** Where they write. */
export const FOLDER = "/root/k";

export const KEPT_FILES = 16;
export const BLOCKS = 64;
export const LARGE_FILES = 3;
export const LARGE_BLOCKS = 128;
export const OVER_FILES = 8;
/** See `put` in test/pages/box-calls.mjs. */
export const PUT_FILES = 4;

const SCRIPT = `
mkdir -p ${FOLDER} && cd ${FOLDER} || exit 1
line() { printf "%d %0$(($1 * $2 % $3 + 1))d\\n" $1 $1; }
block() { printf "b%-7d %04086d\\n" $1 $1; }
pattern() { yes "$(block $1)" | dd bs=4096 count=${LARGE_BLOCKS} iflag=fullblock 2> /dev/null; }

append() { line $1 37 900 >> log && fsync log; }
files() {
  line $1 613 6000 > files/t$1 && fsync files/t$1 && mv files/t$1 files/f$1 || return
  rm -f files/f$(($1 - ${KEPT_FILES})) && fsync files
}
blocks() {
  v=$(($1 + ${BLOCKS - 1}))
  block $v > journal && fsync journal || return
  block $v | dd of=blocks bs=4096 seek=$((v % ${BLOCKS})) conv=notrunc,fsync 2> /dev/null || return
  : > journal && fsync journal
}
large() { pattern $1 | dd of=large$(($1 % ${LARGE_FILES})) bs=65536 conv=fsync 2> /dev/null; }

# They would write thousands of records a second.
made() { line $1 613 6000 > made/f$1 && rm -f made/f$(($1 - ${KEPT_FILES})) && sleep 0.02; }
moved() { line $1 613 6000 > moved.new && mv moved.new moved && sleep 0.02; }
over() { line $1 613 6000 > over$(($1 % ${OVER_FILES})) && sleep 0.02; }
grown() { line $1 37 900 >> grown && sleep 0.02; }
held() { line $1 37 900 >&3 && sleep 0.02; }

# What a record under way has left is put aside: LOAD LAST
resume() {
  case $1 in
    append) head -n $2 log > rest 2> /dev/null; fsync rest && mv rest log ;;
    grown | held) touch $1; head -n $2 $1 > $1.rest && mv $1.rest $1 && exec 3>> $1 ;;
    made) mkdir -p made && rm -f made/f$(($2 + 1)) made/f$(($2 - ${KEPT_FILES})) ;;
    files) mkdir -p files && rm -f files/t* files/f$(($2 - ${KEPT_FILES})) ;;
    blocks) [ -s blocks ] || { for i in $(seq 0 ${BLOCKS - 1}); do block $i; done > fresh; fsync fresh && mv fresh blocks; } ;;
  esac
  sync
}
# Writes without end: LOAD LAST
write() {
  resume $1 $2; n=$2
  while n=$((n + 1)); $1 $n; do echo $1 $n; done
  echo $1 failed; return 1
}
`;

/** A command that goes on writing from these records on, until it is ended or cannot. */
export function writerOf(last: ReadonlyMap<Load, number>): string {
  const each = [...last]
    .filter(([load]) => load !== "put")
    .map(([load, number]) => `write ${load} ${number} &`);
  return `${SCRIPT}\n${each.join("\n")}\nwait`;
}

/** A command that fills the disk, until it cannot: with what does not compress, since a browser counts what it has written. */
export const FILLER = `
mkdir -p ${FOLDER} && cd ${FOLDER} && dd if=/dev/urandom of=fill0 bs=65536 count=8 2> /dev/null
i=1; while cat fill0 > fill$i && fsync fill$i; do i=$((i + 1)); done`;
/** And one that gives the space back. */
export const UNFILL = `rm -f ${FOLDER}/fill*; sync`;

/** All that is there, as the guest sees it: a hash and a path each, and what its kernel has found wrong. */
export const LIST = `
mkdir -p ${FOLDER} && cd ${FOLDER} && find . -type f -exec md5sum {} + | sort -k 2
read errors < /sys/fs/ext4/sdb/errors_count; [ $errors = 0 ] || dmesg | grep -i ext4`;
