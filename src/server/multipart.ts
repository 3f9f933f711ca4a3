import { decodeField, type MultipartError, make, type Parser } from "multipasta";
import { refuseLength, requireType, tooLarge } from "./body.js";
import { FormPieces } from "./form-pieces.js";
import { HttpError } from "./http-error.js";

/** Limit for the parts of the form other than the file. */
const OVERHEAD_BYTES = 64 * 1024;
const MAX_FIELD_BYTES = 16 * 1024;
const MAX_PARTS = 16;
/** Number of bytes of a file that wait in memory when the file comes before the field with its destination. */
const MAX_WAITING_BYTES = 8 * 2 ** 20;
/** Overhead that each waiting piece is charged with, since a file may arrive byte by byte. */
const PIECE_OVERHEAD_BYTES = 128;

/** Fields that hold permission bits. */
const MODES: readonly string[] = ["mode", "new_mode"];
const BAD_HEADERS = "a part of the form has invalid headers";

/** A file that is being uploaded. */
export interface Upload {
  dest: string;
  /** Permission bits that the client gave, an extension of this project. `newMode` is for a file that does not exist yet. */
  mode: number | undefined;
  newMode: number | undefined;
  /** Contents of the file. The stream fails when the form ends before the file is complete, so that half a file is never taken for a whole one. */
  body: ReadableStream<Uint8Array>;
}

/** Parses the form of an upload up to the file, and streams the rest. The whole file is never in memory. */
export async function readUpload(request: Request, maxBytes: number): Promise<Upload> {
  requireType(request, "multipart/form-data");
  refuseLength(request, maxBytes + OVERHEAD_BYTES);
  const form = new UploadForm(request, maxBytes);
  while (!form.done && !(form.fileStarted && form.fields.has("dest"))) {
    if (form.waitingBytes > MAX_WAITING_BYTES) {
      await form.cancel();
      throw new HttpError(
        400,
        `the field dest must come before a file of more than ${MAX_WAITING_BYTES} bytes`,
      );
    }
    await form.pump();
  }
  if (!form.fileStarted) throw new HttpError(400, "the field file is missing");
  const dest = form.fields.get("dest");
  if (dest === undefined || dest === "") {
    const hint = form.fields.has("path") ? ": use it instead of path" : "";
    throw new HttpError(400, `the field dest is missing${hint}`);
  }
  const mode = parseMode("mode", form.fields.get("mode"));
  return { dest, mode, newMode: parseMode("new_mode", form.fields.get("new_mode")), body: form.file() };
}

class UploadForm {
  readonly fields = new Map<string, string>();
  fileStarted = false;
  done = false;
  waitingBytes = 0;
  private readonly waiting: Uint8Array[] = [];
  private readonly reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  private readonly parser: Parser;
  private readonly pieces: FormPieces;
  private error: Error | undefined;
  private fileBytes = 0;

  constructor(
    request: Request,
    private readonly maxBytes: number,
  ) {
    const contentType = request.headers.get("content-type") ?? "";
    this.reader = request.body?.getReader();
    this.pieces = new FormPieces(contentType);
    this.parser = make({
      headers: { "content-type": contentType },
      // Identified by the name of the field: some clients send a file without a file name, and others a text with one.
      isFile: ({ name }) => name === "file",
      maxParts: MAX_PARTS,
      maxFieldSize: MAX_FIELD_BYTES,
      onField: (info, value) => {
        if (this.done) return;
        if (this.fields.has(info.name)) this.fail(`the field ${info.name} appears twice`);
        // The file may already be on its way into the box, with another mode.
        if (MODES.includes(info.name) && this.fileStarted)
          this.fail(`the field ${info.name} must come before the file`);
        this.fields.set(info.name, decodeField(info, value));
      },
      onFile: () => {
        // Data after the end of the form is not part of it.
        if (this.done) return () => {};
        if (this.fileStarted) this.fail("the field file appears twice");
        this.fileStarted = true;
        return (chunk) => chunk && this.take(chunk);
      },
      onError: (error) => this.fail(describe(error)),
      onDone: () => {
        this.done = true;
      },
    });
  }

  /** Parses one more piece of the body. Throws the error of a malformed form. */
  async pump(): Promise<void> {
    const { done, value } = this.reader ? await this.reader.read() : { done: true, value: undefined };
    this.parse(value, done);
    if (done && !this.done) this.fail("the form is incomplete");
    if (!this.error) return;
    await this.cancel();
    throw this.error;
  }

  private parse(piece: Uint8Array | undefined, isLast: boolean): void {
    try {
      if (piece) this.parser.write(this.pieces.take(piece));
      if (!isLast) return;
      this.parser.write(this.pieces.rest());
      this.parser.end();
    } catch {
      // The parser decodes file names, and drops those that it cannot decode.
      this.fail(BAD_HEADERS);
    }
  }

  file(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          // Even after its last byte the file is not complete: the form must end first.
          while (this.waiting.length === 0 && !this.done) await this.pump();
          const chunk = this.waiting.shift();
          if (chunk) controller.enqueue(chunk);
          else controller.close();
        },
        cancel: () => this.cancel(),
      },
      { highWaterMark: 0 },
    );
  }

  async cancel(): Promise<void> {
    await this.reader?.cancel().catch(() => {});
  }

  private take(chunk: Uint8Array): void {
    this.fileBytes += chunk.byteLength;
    if (this.fileBytes > this.maxBytes) this.error ??= tooLarge(this.maxBytes);
    if (this.error || chunk.byteLength === 0) return;
    // The parser reuses the array that it was given.
    this.waiting.push(chunk.slice());
    this.waitingBytes += chunk.byteLength + PIECE_OVERHEAD_BYTES;
  }

  private fail(what: string): void {
    if (!this.done) this.error ??= new HttpError(400, what);
  }
}

function describe(error: MultipartError): string {
  switch (error._tag) {
    case "InvalidBoundary":
      return "the content type has no boundary";
    case "EndNotReached":
      return "the form is incomplete";
    case "ReachedLimit":
      return `the form exceeds a limit (${error.limit})`;
    default:
      return BAD_HEADERS;
  }
}

/** Parses octal digits, as chmod takes them. */
function parseMode(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-7]{1,4}$/.test(text))
    throw new HttpError(400, `the field ${field} must be permission bits, such as 644`);
  return Number.parseInt(text, 8);
}
