import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Frame } from "../../src/local/protocol/frame-types.js";
import { ROOT } from "../root.js";

/** A frame and its bytes. In the file, `{"hex"}` stands for bytes and `{"bigint"}` for a bigint. */
export interface GoldenFrame {
  name: string;
  from: "host" | "guest";
  fields: Frame;
  /** What decoding gives: the fields, but text that is not UTF-8 with replacement characters. */
  decoded: Frame;
  bytes: Uint8Array;
}

/** Bytes that the protocol forbids, and a word of the reason. */
export interface MalformedFrame {
  name: string;
  from: "host" | "guest";
  bytes: Uint8Array;
  why: string;
}

interface Raw {
  name: string;
  from: "host" | "guest";
  hex: string;
}

const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

const file = JSON.parse(readFileSync(join(ROOT, "test/fixtures/frames.json"), "utf8"), (_key, value) => {
  if (typeof value?.bigint === "string") return BigInt(value.bigint);
  // A whole frame has its hex beside other keys.
  if (typeof value?.hex === "string" && Object.keys(value).length === 1) return fromHex(value.hex);
  return value;
}) as { frames: (Raw & { fields: Frame; decoded?: Partial<Frame> })[]; malformed: (Raw & { why: string })[] };

export const goldenFrames: GoldenFrame[] = file.frames.map(({ hex, ...golden }) => ({
  ...golden,
  decoded: { ...golden.fields, ...golden.decoded } as Frame,
  bytes: fromHex(hex),
}));

export const malformedFrames: MalformedFrame[] = file.malformed.map(({ hex, ...malformed }) => ({
  ...malformed,
  bytes: fromHex(hex),
}));
