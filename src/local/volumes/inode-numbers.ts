/** Numbers below this fit into the 32 bits that a program in the guest sees. v9fs adds two. */
const MAX_NUMBER = 2 ** 32 - 3;

/**
 * Numbers of the files of all volumes. The guest has one mount for all of them, and its tools take files with one number for one file. The host's own numbers serve where they are
 * unique: in a mount of one volume, on its root's device. Others get numbers from the top down.
 */
export class InodeNumbers {
  /** By volume, device and number on the host. */
  private readonly given = new Map<string, Map<number, number>>();
  private next = MAX_NUMBER;
  private readonly plain: string | undefined;

  /** `rootDevices` has the device of each volume's root. */
  constructor(rootDevices: readonly number[]) {
    if (rootDevices.length === 1) this.plain = `0:${rootDevices[0]}`;
  }

  /** Returns the number of a file of a volume. */
  of(volume: number, device: number, inode: number): number {
    const place = `${volume}:${device}`;
    if (place === this.plain && inode < MAX_NUMBER / 2) return inode;
    const numbers = this.given.get(place) ?? new Map<number, number>();
    this.given.set(place, numbers);
    const known = numbers.get(inode);
    if (known !== undefined) return known;
    // Comes to its end after more files than a machine can have looked at.
    numbers.set(inode, this.next);
    return this.next--;
  }
}
