/** The text frames of `GET .../attach`; its binary frames are the terminal's bytes. */
import * as z from "zod/mini";
import { json } from "./json.js";

/**
 * A browser's WebSocket sends no headers: a token goes as a sub-protocol, in base64url after {@link TOKEN_PROTOCOL}, beside {@link PROTOCOL}, which the server takes.
 * Ours understands it; others have no tokens, and whatever stands before them reads the header.
 */
export const PROTOCOL = "boxrun";
export const TOKEN_PROTOCOL = "boxrun.token.";

const size = z.int().check(z.minimum(1), z.maximum(1000));

/** What a client sends: its new size; or, with `flow=1` in the query, that it can take no more for now. */
export const clientFrame = z.pipe(
  json,
  z.discriminatedUnion("type", [
    z.object({ type: z.literal("resize"), cols: size, rows: size }),
    z.object({ type: z.literal("pause") }),
    z.object({ type: z.literal("resume") }),
  ]),
);
/** See {@link clientFrame}. */
export type ClientFrame = z.infer<typeof clientFrame>;

/** What a server sends: the end; what went wrong; or, with `flow=1`, that it is there. Other types are of newer servers. */
export const serverFrame = z.pipe(
  json,
  z.union([
    z.object({ type: z.literal("exit"), code: z.nullable(z.int()) }),
    z.object({ type: z.literal("error"), code: z.string(), message: z.string() }),
    z.object({ type: z.string() }),
  ]),
);
/** A frame of {@link serverFrame} that has a meaning. */
export type ServerFrame =
  | { type: "exit"; code: number | null }
  | { type: "error"; code: string; message: string }
  | { type: "alive" };

/** The size of a terminal that names none. */
export const DEFAULT_COLS = 80;
export const DEFAULT_ROWS = 24;
export const DEFAULT_TERM = "xterm-256color";

/** What a terminal is to be, its defaults filled in. */
export const terminalSpecSchema = z.strictObject({
  shell: z._default(
    z.nullable(z.string().check(z.regex(/^[^\0]+$/, "must be a program's name or path"))),
    null,
  ),
  cols: z._default(size, DEFAULT_COLS),
  rows: z._default(size, DEFAULT_ROWS),
  term: z._default(
    z.string().check(z.regex(/^[A-Za-z0-9._+-]{1,64}$/, "must be the name of a terminal")),
    DEFAULT_TERM,
  ),
});
