import { FrameError, Payload } from "./frame-fields.js";
import {
  BY_CODE,
  BY_TYPE,
  CHANNELS,
  CHANNELS_FROM,
  DATA,
  FRAME_HEADER,
  type Frame,
  type GuestFrame,
  type HostFrame,
  type Shape,
  type Side,
} from "./frame-types.js";

/**
 * Encodes a frame into a buffer of its own. Throws {@link FrameError} when a field is out of its bounds.
 *
 * @example
 * port.write(encodeFrame({ type: "ping", stream: 0, token: 1 }));
 */
export function encodeFrame(frame: Frame): Uint8Array {
  const shape = BY_TYPE.get(frame.type)!;
  const payload = new Payload(frame.type);
  payload.field = "stream";
  payload.check(frame.stream, shape.on === "stream" ? 1 : 0, shape.on === "own" ? 0 : 0xffff_ffff);
  if (frame.type === "data") payload.parts.push(frame.data);
  for (const [name, field] of shape.fields) {
    payload.field = name;
    field.write(payload, (frame as unknown as Record<string, unknown>)[name]);
  }
  payload.field = "length";
  const length = payload.parts.reduce((total, part) => total + part.byteLength, 0);
  payload.check(length, shape.min, shape.max);

  const encoded = new Uint8Array(FRAME_HEADER + length);
  const header = new DataView(encoded.buffer);
  header.setUint32(0, length, true);
  header.setUint32(4, frame.stream, true);
  header.setUint8(8, shape.code);
  header.setUint8(9, frame.type === "data" ? CHANNELS[frame.channel] : 0);
  let at = FRAME_HEADER;
  for (const part of payload.parts) {
    encoded.set(part, at);
    at += part.byteLength;
  }
  return encoded;
}

/**
 * Cuts the bytes of one side into frames, however they arrive. Throws {@link FrameError} at the first violation of the
 * protocol, and on every call after that: frames before it in the same chunk are lost with the connection.
 *
 * The bytes of a DATA frame that is complete in one chunk are a view of that chunk, not a copy. At most one frame is
 * ever kept.
 *
 * @example
 * const reader = new FrameReader("guest");
 * for (const frame of reader.push(chunk)) handle(frame);
 */
export class FrameReader<S extends Side = Side> {
  /** The frame in which the last chunk ended: first room for its header, then for all of it. */
  private partial = new Uint8Array(FRAME_HEADER);
  private held = 0;
  private broken: unknown;

  constructor(private readonly from: S) {}

  push(chunk: Uint8Array): (S extends "host" ? HostFrame : GuestFrame)[] {
    if (this.broken) throw this.broken;
    try {
      return this.cut(chunk) as ReturnType<this["push"]>;
    } catch (error) {
      this.broken = error;
      throw error;
    }
  }

  private cut(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < chunk.byteLength; ) {
      const rest = chunk.subarray(at);
      if (this.held === 0 && rest.byteLength >= FRAME_HEADER) {
        const header = this.header(rest);
        if (rest.byteLength >= header.end) {
          frames.push(decode(header, rest.subarray(FRAME_HEADER, header.end)));
          at += header.end;
          continue;
        }
      }
      const taken = rest.subarray(0, this.partial.byteLength - this.held);
      this.partial.set(taken, this.held);
      this.held += taken.byteLength;
      at += taken.byteLength;
      if (this.held === this.partial.byteLength) frames.push(...this.filled());
    }
    return frames;
  }

  /** Handles a header, or a frame, that the last chunk had begun and this one has completed. */
  private filled(): Frame[] {
    const header = this.header(this.partial);
    const whole = this.held === header.end;
    const next = new Uint8Array(whole ? FRAME_HEADER : header.end);
    const frame = whole ? [decode(header, this.partial.subarray(FRAME_HEADER))] : [];
    if (!whole) next.set(this.partial);
    this.partial = next;
    this.held = whole ? 0 : FRAME_HEADER;
    return frame;
  }

  /** Parses a header. Refuses the frame at once if no payload could make it valid. */
  private header(bytes: Uint8Array): Header {
    const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER);
    const length = view.getUint32(0, true);
    const stream = view.getUint32(4, true);
    const code = view.getUint8(8);
    const channel = view.getUint8(9);
    const shape = BY_CODE.get(code);
    if (!shape) throw new FrameError(`type 0x${code.toString(16)} is unknown`);
    const fields = new Payload(shape.type);
    if (shape.from !== "both" && shape.from !== this.from)
      throw fields.error(`does not come from the ${this.from}`);
    fields.field = "stream";
    fields.check(stream, shape.on === "stream" ? 1 : 0, shape.on === "own" ? 0 : 0xffff_ffff);
    fields.field = "length";
    fields.check(length, shape.min, shape.max);
    fields.field = "reserved";
    fields.check(view.getUint16(10, true), 0, 0);
    fields.field = "channel";
    const name = code === DATA ? CHANNELS_FROM[this.from].get(channel) : undefined;
    if (code === DATA && !name) throw fields.error(`${channel} is not a channel of the ${this.from}`);
    if (code !== DATA) fields.check(channel, 0, 0);
    return { shape, stream, channel: name, end: FRAME_HEADER + length };
  }
}

interface Header {
  shape: Shape;
  stream: number;
  channel: keyof typeof CHANNELS | undefined;
  /** Offset of the next frame from the start of this one. */
  end: number;
}

function decode({ shape, stream, channel }: Header, bytes: Uint8Array): Frame {
  if (channel) return { type: "data", stream, channel, data: bytes } as Frame;
  const payload = new Payload(shape.type, bytes);
  const frame: Record<string, unknown> = { type: shape.type, stream };
  for (const [name, field] of shape.fields) {
    payload.field = name;
    frame[name] = field.read(payload);
  }
  payload.field = "";
  if (payload.rest) throw payload.error("has bytes left over");
  return frame as unknown as Frame;
}
