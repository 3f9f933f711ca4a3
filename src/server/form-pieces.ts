import { concatBytes } from "../util/bytes.js";

/** As the parser has it, for the headers of one part. */
const MAX_HEADER_BYTES = 16 * 1024;
const CR = 13;
const LF = 10;
const DASH = 45;

/**
 * A form in the pieces that its parser needs: it takes a boundary, with the headers that follow or the two dashes that end the form, only whole. A network
 * cuts anywhere.
 */
export class FormPieces {
  private readonly delimiter: Uint8Array;
  private held: Uint8Array = new Uint8Array(0);
  private begun = false;

  constructor(contentType: string) {
    const [, quoted, plain] = /;\s*boundary=(?:"([^"]*)"|([^;\s"]*))/i.exec(contentType) ?? [];
    this.delimiter = new TextEncoder().encode(`--${quoted ?? plain ?? ""}`);
  }

  /** What of the form may be read now. */
  take(piece: Uint8Array): Uint8Array {
    const bytes = concatBytes([this.held, piece]);
    const end = this.wholeEnd(bytes);
    this.begun ||= end > 0;
    this.held = bytes.slice(end);
    return bytes.subarray(0, end);
  }

  /** What is left when nothing more comes. */
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

  /** Where the last one begins that may still wait for what follows it; -1 when there is none. */
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

/** By the end of the form, or of a part's headers. */
function isFollowed(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] === DASH && bytes[at + 1] === DASH) return true;
  for (let cr = bytes.indexOf(CR, at); cr >= 0; cr = bytes.indexOf(CR, cr + 1)) {
    if (bytes[cr + 1] === LF && bytes[cr + 2] === CR && bytes[cr + 3] === LF) return true;
  }
  return false;
}
