/**
 * What writes in the guest, and what looks at it after a kill. Each load numbers its records and prints a number only once fsync has returned for it. What a record holds follows from
 * its number, so that each can be told from every other and from what is damaged.
 *
 * - append: lines of up to a kilobyte, at the end of one file.
 * - files: a file is written beside its place, moved there, and the 16th before it is removed.
 * - blocks: one of 64 blocks is written anew in its place, after a journal that holds the same, as a database does.
 * - large: one of three files of half a megabyte is written anew.
 */
export const LOADS = ["append", "files", "blocks", "large"] as const;
export type Load = (typeof LOADS)[number];

const KEPT_FILES = 16;
const BLOCKS = 64;
const LARGE_FILES = 3;
const LARGE_BLOCKS = 128;

const SCRIPT = `
mkdir -p /root/k && cd /root/k || exit 1
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

# What a record under way has left is put aside: LOAD LAST
resume() {
  case $1 in
    append) head -n $2 log > rest 2> /dev/null; fsync rest && mv rest log ;;
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

/** Reads a list of all files with their sizes, then the files. */
const CHECKER = `
function line(n, factor, width) { return sprintf("%d %0" (n * factor % width + 1) "d", n, n) }
function block(n) { return sprintf("b%-7d %04086d", n, n) }
function bad(load, what) { print "bad", load ":", what }
BEGIN { blocks = ${BLOCKS - 1} }

FILENAME == "sizes" { size[$2] = $1; next }
FILENAME == "log" {
  if (!torn && $0 == line(FNR, 37, 900)) { append = FNR; told += length($0) + 1 } else torn = 1
  next
}
FILENAME ~ /^files/ { name = substr(FILENAME, 8); if ($0 == line(name, 613, 6000)) whole[FILENAME] = 1; next }
FILENAME == "journal" { journal = $0; next }
FILENAME == "blocks" {
  n = substr($0, 2, 7) + 0; count++
  found[FNR - 1] = $0 == block(n) && n % ${BLOCKS} == FNR - 1 ? n : "torn"
  if (found[FNR - 1] == n && n > blocks) blocks = n
  next
}
FILENAME ~ /^large/ {
  n = substr($0, 2, 7) + 0
  if (FNR == 1) first = n
  if (n == first && $0 == block(n) && FNR == ${LARGE_BLOCKS}) { is_large[n] = 1; if (n > large) large = n }
  if (n != first || $0 != block(n)) first = -1
}

END {
  # What comes after the last whole line is of the next one, with zeroes where it had no time.
  if (size["log"] - told > length(line(append + 1, 37, 900)) + 1) bad("append", "what follows line " append " is another")

  for (name in size) if (name ~ /^files.f/ && substr(name, 8) + 0 > files) files = substr(name, 8) + 0
  for (name in size) {
    n = substr(name, 8) + 0
    if (name ~ /^files.f/ && !(name in whole)) bad("files", name " is not whole, of " files)
    if (name ~ /^files.f/ && n < files - ${KEPT_FILES}) bad("files", name " is back, of " files)
    if (name ~ /^files.t/ && n != files + 1) bad("files", name " is not the next after " files)
  }
  for (n = files; n > 0 && n > files - ${KEPT_FILES}; n--) if (!("files/f" n in size)) bad("files", n " is gone, of " files)

  if ("blocks" in size && count != ${BLOCKS}) bad("blocks", "there are " count)
  for (i = 0; i < count; i++) {
    want = blocks - (blocks - i + ${BLOCKS}) % ${BLOCKS}
    if (found[i] == want || found[i] == "torn" && i == (blocks + 1) % ${BLOCKS} && journal == block(blocks + 1)) continue
    bad("blocks", "block " i " is " found[i] " instead of " want)
  }

  if (large > 1 && !((large - 1) in is_large)) bad("large", "the one before " large " is not whole")

  print "append", append + 0; print "files", files + 0; print "blocks", blocks - ${BLOCKS - 1}; print "large", large + 0
}`;

/** A command that goes on writing from these records on, until it is ended or cannot. */
export function writerOf(last: ReadonlyMap<Load, number>): string {
  const each = [...last].map(([load, number]) => `write ${load} ${number} &`);
  return `${SCRIPT}\n${each.join("\n")}\nwait`;
}

/** A command that fills the disk, until it cannot. */
export const FILLER = `${SCRIPT}\ni=0; while pattern $i > fill$i; do i=$((i + 1)); done; sync`;
/** And one that gives the space back. */
export const UNFILL = "rm -f /root/k/fill*; sync";

/** Of each load the last number that is there, or what is wrong. */
export const CHECK = `
mkdir -p /root/k && cd /root/k && set -- $(ls -d log files/* journal blocks large? 2> /dev/null)
stat -c "%s %n" sizes "$@" > /run/sizes 2> /dev/null; ln -sf /run/sizes sizes
awk '${CHECKER}' sizes "$@"
[ $(dmesg | grep -ic 'ext4.*error') = 0 ] || echo bad kernel: $(dmesg | grep -i 'ext4.*error' | head -n 3)`;
