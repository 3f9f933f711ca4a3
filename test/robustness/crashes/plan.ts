import type { Random } from "../faults/random.js";
import { LOADS, type Load } from "./guest.js";

/**
 * When the owner of the boxes is killed: while they write; while a box is made, started after a kill, stopped or removed; a moment after it has come and looks at what there is. "full": it is not
 * killed, but its storage is full at some write.
 */
export const MOMENTS = ["write", "create", "start", "stop", "remove", "open", "full"] as const;
export type Moment = (typeof MOMENTS)[number];

/** How long the last thing before a kill may take at most, in ms: a little more than it takes. */
const LONGEST_MS = { write: 300, create: 1500, start: 1500, stop: 800, remove: 300, open: 1200, full: 0 };
const MAX_RECORDS = 20;
const MAX_ROOM_BYTES = 24 * 2 ** 20;

export interface Kill {
  moment: Moment;
  /** So many records are acknowledged first. */
  records: number;
  /** And then so much time passes. */
  delayMs: number;
  /** Of "full": what is left to be written. */
  roomBytes: number;
}

/** The life of some boxes: from one kill to the next, until they are removed. */
export interface Plan {
  durability: "relaxed" | "strict";
  /** What each box writes. */
  boxes: Load[][];
  kills: Kill[];
}

/** Makes a plan. The same numbers make the same plan. */
export function newPlan(random: Random, kills: number, moments: readonly Moment[] = MOMENTS): Plan {
  const some = (): Load[] => {
    const load = random.pick(LOADS);
    // It has no command of its own that goes on.
    return load === "put" ? [load, "append"] : [load];
  };
  const loads = (): Load[] => (random.chance(0.4) ? [...LOADS] : some());
  return {
    durability: random.pick(["relaxed", "relaxed", "strict"] as const),
    boxes: Array.from({ length: random.between(1, 2) }, loads),
    kills: Array.from({ length: kills }, () => {
      // While they write, most of all.
      const moment = random.chance(0.3) ? "write" : random.pick(moments);
      return {
        moment,
        records: random.size(MAX_RECORDS),
        delayMs: random.chance(0.5) ? random.size(LONGEST_MS[moment]) : random.between(0, LONGEST_MS[moment]),
        roomBytes: random.size(MAX_ROOM_BYTES),
      };
    }),
  };
}

/** In words. */
export function describePlan({ durability, boxes, kills }: Plan): string {
  const each = kills.map(({ moment, records, delayMs, roomBytes }) =>
    moment === "full"
      ? `full after ${records} records and ${roomBytes} bytes`
      : `${moment} after ${records} records and ${delayMs} ms`,
  );
  return `${durability}; boxes that write ${boxes.map((loads) => loads.join(" and ")).join("; ")}; ${each.join(", ")}`;
}
