import { concatBytes } from "../util/bytes.js";

/** Limit of the parser for the headers of one part. */
const MAX_HEADER_BYTES = 16 * 1024;
const CR = 13;
const LF = 10;
const DASH = 45;

/**
 * Cuts a form into the pieces that its parser needs: the parser takes a boundary only in one piece with the headers after it, or with the two dashes that end
 * the form. A network may cut anywhere.
 */
export class FormPieces {
  private readonly delimiter: Uint8Array;
  private held: Uint8Array = new Uint8Array(0);
  private begun = false;

  constructor(contentType: string) {
    const [, quoted, plain] = /;\s*boundary=(?:"([^"]*)"|([^;\s"]*))/i.exec(contentType) ?? [];
    this.delimiter = new TextEncoder().encode(`--${quoted ?? plain ?? ""}`);
  }

  /** Adds bytes, and returns the part of the form that can be parsed now. */
  take(piece: Uint8Array): Uint8Array {
    const bytes = concatBytes([this.held, piece]);
    const end = this.wholeEnd(bytes);
    this.begun ||= end > 0;
    this.held = bytes.slice(end);
    return bytes.subarray(0, end);
  }

  /** Returns the bytes that are left at the end of the body. */
  rest(): Uint8Array {
    const { held } = this;
    this.held = new Uint8Array(0);
    return held;
  }

  private wholeEnd(bytes: Uint8Array): number {
    const { delimiter, begun } = this;
    const { byteLength } = bytes;
    // The first boundary has no line before it.
    if (!begun && byteLength < delimiter.byteLength + 2) return 0;
    const at = this.lastDelimiter(bytes);
    if (at >= 0 && !isFollowed(bytes, at + delimiter.byteLength)) return Math.max(0, at - 2);
    const cr = bytes.lastIndexOf(CR);
    return cr >= 0 && byteLength - cr < delimiter.byteLength + 2 ? cr : byteLength;
  }

  /** Returns the position of the last boundary that may still lack what must follow it; -1 when there is none. */
  private lastDelimiter(bytes: Uint8Array): number {
    const { delimiter, begun } = this;
    const first = bytes.byteLength - delimiter.byteLength - MAX_HEADER_BYTES;
    let at = bytes.lastIndexOf(DASH, bytes.byteLength - delimiter.byteLength);
    while (at >= Math.max(0, first)) {
      const isOfLine = at === 0 ? !begun : bytes[at - 1] === LF && bytes[at - 2] === CR;
      if (isOfLine && delimiter.every((byte, i) => bytes[at + i] === byte)) return at;
      at = at === 0 ? -1 : bytes.lastIndexOf(DASH, at - 1);
    }
    return -1;
  }
}

/** Returns true when a boundary is followed by the end of the form, or by all headers of a part. */
function isFollowed(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] === DASH && bytes[at + 1] === DASH) return true;
  for (let cr = bytes.indexOf(CR, at); cr >= 0; cr = bytes.indexOf(CR, cr + 1)) {
    if (bytes[cr + 1] === LF && bytes[cr + 2] === CR && bytes[cr + 3] === LF) return true;
  }
  return false;
}
