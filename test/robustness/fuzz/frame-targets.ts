import { isDeepStrictEqual } from "node:util";
import { decodeEntries } from "../../../src/local/guest/file-entries.js";
import { FrameError } from "../../../src/local/protocol/frame-fields.js";
import {
  FRAME_HEADER,
  type Frame,
  MAX_DATA,
  MAX_ENTRY,
  MAX_NAME,
  MAX_PAYLOAD,
  type Side,
} from "../../../src/local/protocol/frame-types.js";
import { encodeFrame, FrameReader } from "../../../src/local/protocol/frames.js";
import { goldenFrames, malformedFrames } from "../../agent/golden-frames.js";
import { join, type Mutator } from "./mutate.js";
import { heldBytes, refusal, rule, type Taken, type Target } from "./target.js";

const MAX_FRAMES = 8;
/** The reader keeps one frame; the guest's are short but for DATA. Its own fields are small beside it. */
const MOST_HELD = { host: FRAME_HEADER + MAX_PAYLOAD, guest: FRAME_HEADER + MAX_DATA };
const READER_BYTES = 2048;

const isFrameError = (error: unknown) => error instanceof FrameError;
const SIDES: Record<Side, { frames: Frame[]; bytes: Uint8Array[]; broken: Uint8Array[] }> = {
  host: of("host"),
  guest: of("guest"),
};

function of(side: Side) {
  const own = goldenFrames.filter(({ from }) => from === side);
  return {
    // Text that is not UTF-8 comes out as other text.
    frames: own
      .filter(({ fields, decoded }) => isDeepStrictEqual(fields, decoded))
      .map(({ fields }) => fields),
    bytes: own.map(({ bytes }) => bytes),
    broken: malformedFrames.filter(({ from }) => from === side).map(({ bytes }) => bytes),
  };
}

/** A frame that the protocol allows: a golden one with other numbers, or with as much data. */
export function anyFrame({ random }: Mutator, side: Side): Frame {
  const frame: Record<string, unknown> = { ...random.pick(SIDES[side].frames) };
  for (const [name, value] of Object.entries(frame)) {
    if (typeof value === "number" && random.chance(0.5)) frame[name] = random.size(0xffff_ffff);
    if (name === "data" && random.chance(0.5))
      frame[name] = new Uint8Array(random.size(MAX_DATA - 1) + 1).fill(7);
  }
  const made = frame as unknown as Frame;
  return refusal(() => encodeFrame(made), isFrameError) ? random.pick(SIDES[side].frames) : made;
}

/** What comes of bytes in these pieces: the frames before the first that is refused, and why. */
function read(
  side: Side,
  pieces: readonly Uint8Array[],
): { frames: Frame[]; error: string | undefined; held: number } {
  const reader = new FrameReader(side);
  const frames: Frame[] = [];
  let held = 0;
  const error = refusal(() => {
    for (const piece of pieces) {
      frames.push(...reader.push(piece));
      held = Math.max(held, reader["partial"].byteLength);
    }
  }, isFrameError);
  rule(held <= MOST_HELD[side], `it holds ${held} bytes`);
  rule(heldBytes(reader) <= MOST_HELD[side] + READER_BYTES, `it holds ${heldBytes(reader)} bytes`);
  if (error) {
    const again = refusal(() => reader.push(SIDES[side].bytes[0]!), isFrameError);
    rule(again === error, "it goes on after what it refused");
  }
  return { frames, error: error?.message, held };
}

function frames(side: Side): Target {
  const { bytes: golden, broken } = SIDES[side];
  return {
    name: `frames of the ${side}`,
    run(mutator): Taken {
      const { random } = mutator;
      const sent = Array.from({ length: random.between(1, MAX_FRAMES) }, () => anyFrame(mutator, side));
      const whole = join(sent.map(encodeFrame));
      if (random.chance(0.2)) {
        const { frames: came, error, held } = read(side, mutator.chunks(whole));
        rule(
          error === undefined && isDeepStrictEqual(came, sent),
          `sent ${show(sent)}, came ${show(came)}, ${error}`,
        );
        return { accepted: true, held };
      }
      const bytes = mutator.mutate(whole, [...golden, ...broken]);
      const pieces = read(side, mutator.chunks(bytes));
      const single = read(side, singles(bytes.subarray(0, random.chance(0.02) ? 4096 : 200)));
      const few = Math.min(pieces.frames.length, single.frames.length);
      rule(
        isDeepStrictEqual(pieces.frames.slice(0, few), single.frames.slice(0, few)),
        "other pieces are other frames",
      );
      const all = read(side, [bytes]);
      rule(all.error === pieces.error, `whole it is ${all.error}, in pieces ${pieces.error}`);
      if (!all.error) rule(isDeepStrictEqual(all.frames, pieces.frames), "whole it is other frames");
      // What is taken has one form, which is the one it came in; but for text that is not UTF-8.
      if (!single.frames.some(hasOtherText)) {
        const again = join(single.frames.map(encodeFrame));
        rule(
          Buffer.compare(again, bytes.subarray(0, again.byteLength)) === 0,
          "it is encoded in another way",
        );
      }
      return { accepted: !all.error, held: pieces.held };
    },
  };
}

function singles(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}

function hasOtherText(value: unknown): boolean {
  if (typeof value === "string") return value.includes("\ufffd");
  if (value instanceof Uint8Array || typeof value !== "object") return false;
  return Object.values(value as object).some(hasOtherText);
}

function show(list: readonly Frame[]): string {
  return list.map(({ type, stream }) => `${type} ${stream}`).join(", ");
}

/** The bytes of an entry of a directory. */
export function entryBytes(
  name: Uint8Array,
  size: bigint,
  mtimeMs: bigint,
  mode: number,
  owner: number,
): Uint8Array {
  const bytes = new Uint8Array(32 + name.byteLength);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, size, true);
  view.setBigInt64(8, mtimeMs, true);
  for (const [i, value] of [mode, owner, owner + 1, name.byteLength].entries())
    view.setUint32(16 + 4 * i, value, true);
  bytes.set(name, 32);
  return bytes;
}

const entries: Target = {
  name: "entries of a directory",
  run(mutator) {
    const { random } = mutator;
    const sent = Array.from({ length: random.between(0, 6) }, () => ({
      name: Uint8Array.from({ length: random.size(MAX_NAME) }, () => random.between(0, 255)),
      size: random.size(Number.MAX_SAFE_INTEGER),
      mtimeMs: random.between(-8.64e15, 8.64e15),
      mode: (random.pick([8, 4, 10, 2]) << 12) | random.between(0, 0o7777),
      owner: random.size(0xffff_fff0),
    }));
    const parts = sent.map(({ name, size, mtimeMs, mode, owner }) =>
      entryBytes(name, BigInt(size), BigInt(mtimeMs), mode, owner),
    );
    const whole = join(parts);
    if (random.chance(0.2)) {
      const found = decodeEntries(whole).map(({ name, size, modifiedAt, mode, uid }) => [
        name,
        size,
        +modifiedAt,
        mode,
        uid,
      ]);
      const right = sent.map(({ name, size, mtimeMs, mode, owner }) => [
        name,
        size,
        mtimeMs,
        mode & 0o7777,
        owner,
      ]);
      rule(isDeepStrictEqual(found, right), "entries did not come back as they were");
      return { accepted: true, held: heldBytes(found) };
    }
    const bytes = mutator.mutate(whole, [...parts, ...SIDES.guest.bytes]);
    let held = 0;
    const error = refusal(() => {
      const found = decodeEntries(bytes);
      held = heldBytes(found);
      rule(found.length * (MAX_ENTRY - MAX_NAME) <= bytes.byteLength, "more entries than there is room for");
      for (const { name, size, modifiedAt, mode } of found) {
        rule(
          name.byteLength <= MAX_NAME && name.buffer !== bytes.buffer,
          "a name is too long, or not its own",
        );
        rule(
          Number.isSafeInteger(size) && !Number.isNaN(+modifiedAt) && mode <= 0o7777,
          "a number is out of range",
        );
      }
    }, isFrameError);
    return { accepted: !error, held };
  },
};

export const FRAME_TARGETS: readonly Target[] = [frames("guest"), frames("host"), entries];
