import { expect } from "vitest";
import type { ServedVolumes } from "../../../src/local/volumes/served-volumes.js";
import type { VolumeChange, VolumeChanges } from "../../../src/local/volumes/volume-calls.js";

/** A watch of a path, which collects changes. */
export class Watching {
  private readonly seen: string[] = [];
  private isEnd = false;

  private constructor(
    private readonly served: ServedVolumes,
    private readonly number: number,
  ) {}

  static async begin(served: ServedVolumes, path: string, { recursive = false, number = 1 } = {}) {
    expect(await served.call({ call: "watch", watch: number, path, recursive })).toEqual({ entries: [] });
    return new Watching(served, number);
  }

  /** Resolves to what was seen up to a change, without what repeats the one before; up to the end without one. */
  async until(last?: string): Promise<string[]> {
    const seen: string[] = [];
    for (;;) {
      for (let next = this.seen.shift(); next; next = this.seen.shift()) {
        if (seen.at(-1) !== next) seen.push(next);
        if (next === last) return seen;
      }
      if (this.isEnd) return [...seen, "end"];
      const answer = await this.served.call({ call: "changes", watch: this.number });
      const { changes, isEnd } = answer as VolumeChanges;
      this.seen.push(...changes.map(shown));
      this.isEnd = isEnd;
    }
  }
}

const shown = (change: VolumeChange) =>
  change.type === "renamed"
    ? `renamed ${change.from} ${change.path}`
    : `${change.type} ${change.path}`.trimEnd();
