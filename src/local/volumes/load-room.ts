import { type Deferred, deferred } from "../../util/deferred.js";
import { pause } from "../../util/timer.js";
import { VolumeError } from "./errno.js";
import type { MemoryTree, Reservation } from "./memory-tree.js";

/** Room in a tree for files that are being loaded. Each has all of its room before any of it is read, so that many at once take no more than the tree may. */
export class LoadRoom {
  #held = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #released: Deferred<void> = deferred();

  /** Creates it for a tree. `makeRoom` drops contents that can be loaded again. */
  constructor(
    private readonly tree: MemoryTree,
    private readonly makeRoom: (bytes: number) => void,
  ) {}

  /**
   * Does something with so much room, in the order of the calls. Waits until other files are loaded, if that may help. `onUsed` is called a little later, so that whoever has waited for
   * the file uses it before another takes its room.
   *
   * @throws {VolumeError} ENOSPC when there is no room, and none to wait for
   */
  async use<T>(
    bytes: number,
    work: (reservation: Reservation) => Promise<T>,
    onUsed: () => void,
  ): Promise<T> {
    const reserved = this.#turn.then(() => this.#reserve(bytes));
    this.#turn = reserved.catch(() => {});
    const reservation = await reserved;
    try {
      return await work(reservation);
    } finally {
      reservation.release();
      void pause(0).then(() => {
        onUsed();
        this.#held--;
        this.#released.resolve();
      });
    }
  }

  async #reserve(bytes: number): Promise<Reservation> {
    for (;;) {
      this.makeRoom(bytes);
      if (bytes <= this.tree.freeBytes) break;
      if (this.#held === 0) throw new VolumeError("ENOSPC");
      this.#released = deferred();
      await this.#released.promise;
    }
    this.#held++;
    return this.tree.reserve(bytes);
  }
}
