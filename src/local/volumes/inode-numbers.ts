/** Numbers below this fit into the 32 bits that a program in the guest sees. v9fs adds two. */
const MAX_NUMBER = 2 ** 32 - 3;
/** Numbers from here on are given; those below are the host's own. */
const FIRST_GIVEN = 2 ** 31;
/** Files whose given numbers are remembered at least, and half of those that are at most. */
const REMEMBERED = 2 ** 17;

/** Numbers that were given to files, by volume, device and number on the host. */
class Given {
  readonly numbers = new Map<string, number>();
  readonly taken = new Set<number>();

  add(place: string, number: number): void {
    this.numbers.set(place, number);
    this.taken.add(number);
  }
}

/**
 * Numbers of the files of all volumes. The guest has one mount for all of them, and its tools take files with one number for one file. The host's own numbers serve where they are small,
 * as on most file systems, each volume having a part of the lower half. Others, and those of file systems that are mounted in a volume, get numbers of the upper half.
 */
export class InodeNumbers {
  /** Numbers of the files that were asked for last. */
  private recent = new Given();
  /** Numbers of those that were asked for before. */
  private older = new Given();
  private next = MAX_NUMBER;
  /** Numbers of the host that each volume has. */
  private readonly span: number;

  /** `rootDevices` has the device of each volume's root. */
  constructor(private readonly rootDevices: readonly number[]) {
    this.span = Math.floor(FIRST_GIVEN / Math.max(1, rootDevices.length));
  }

  /** Returns the number of a file of a volume. */
  of(volume: number, device: number, inode: number): number {
    if (device === this.rootDevices[volume] && inode < this.span) return volume * this.span + inode;
    const place = `${volume}:${device}:${inode}`;
    const known = this.recent.numbers.get(place);
    if (known !== undefined) return known;
    if (this.recent.numbers.size >= REMEMBERED) [this.older, this.recent] = [this.recent, new Given()];
    const number = this.older.numbers.get(place) ?? this.free();
    this.recent.add(place, number);
    return number;
  }

  /** Returns a number that no file has: the one that has been free for longest. */
  private free(): number {
    do this.next = this.next === FIRST_GIVEN ? MAX_NUMBER : this.next - 1;
    while (this.recent.taken.has(this.next) || this.older.taken.has(this.next));
    return this.next;
  }
}
