import type { Random } from "./random.js";

/**
 * What goes wrong. "cut" is a FIN to both sides, "reset" an RST. "stall" takes nothing more and passes nothing on, "swallow" takes everything and passes nothing on; both leave the
 * connection open. "delay" is a pause, "dribble" some bytes one at a time, "corrupt" one byte that is another. "refuse" resets a connection as it comes, and listens to no other for a moment.
 * "restart" resets all connections, and the server has forgotten how its commands end.
 */
export const FAULT_KINDS = [
  "cut",
  "reset",
  "stall",
  "swallow",
  "delay",
  "dribble",
  "corrupt",
  "refuse",
  "restart",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** "up" is from the client to the server. */
export type Direction = "up" | "down";

export interface Fault {
  kind: FaultKind;
  /** Which connection, from 0; "every" has it at the same place of each. */
  connection: number | "every";
  /** A pattern of requests: the first that fits brings the fault to its own connection, and bytes are counted from there. */
  aim?: string;
  direction: Direction;
  /** How many bytes pass first. */
  afterBytes: number;
  /** Of a pause. */
  ms: number;
  /** Bytes that come one at a time. */
  count: number;
  /** What the byte is changed by. */
  mask: number;
}

export type Plan = Fault[];

/** Few bytes go up but in uploads; most of what comes down are the events of one command. */
export interface Extent {
  upBytes: number;
  downBytes: number;
  /** The requests that matter most, as patterns of "POST /v1/boxes". */
  aims: readonly string[];
}

const COUNTS = [0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4];
const MAX_CONNECTION = 3;
/** Kinds that may hit every connection: what survives one of each must not survive by luck. */
const REPEATABLE: readonly FaultKind[] = ["cut", "reset", "delay", "dribble"];
/** Each twice, but for what ends most runs at once. */
const DEALT: readonly FaultKind[] = [...FAULT_KINDS, ...FAULT_KINDS].filter(
  (kind, index) => index < FAULT_KINDS.length || (kind !== "refuse" && kind !== "restart"),
);

/** Makes a plan. The same numbers make the same plan. */
export function newPlan(random: Random, extent: Extent, kinds: readonly FaultKind[] = FAULT_KINDS): Plan {
  const dealt = DEALT.filter((kind) => kinds.includes(kind));
  return Array.from({ length: random.pick(COUNTS) }, () => {
    const kind = random.pick(dealt);
    const direction = random.chance(0.65) ? "down" : "up";
    const aim = random.chance(0.4) && kind !== "refuse" ? random.pick(extent.aims) : undefined;
    const every = aim === undefined && random.chance(0.15) && REPEATABLE.includes(kind);
    return {
      kind,
      connection: every ? "every" : random.size(MAX_CONNECTION),
      ...(aim !== undefined && { aim }),
      direction,
      afterBytes: random.size(direction === "up" ? extent.upBytes : extent.downBytes),
      ms: random.between(5, 150),
      count: random.size(1000) + 1,
      mask: random.between(1, 255),
    };
  });
}

/** In words. */
export function describeFault({ kind, connection, aim, direction, afterBytes, ms, count }: Fault): string {
  const where =
    aim !== undefined
      ? `connection of ${aim}`
      : connection === "every"
        ? "every connection"
        : `connection ${connection}`;
  const more =
    kind === "delay" || kind === "refuse" ? ` for ${ms} ms` : kind === "dribble" ? ` ${count} bytes` : "";
  if (kind === "refuse") return `refuse ${where}${more}`;
  return `${kind}${more} ${where}, ${direction}, after ${afterBytes} bytes`;
}
