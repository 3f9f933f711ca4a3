/** The text frames of `GET .../attach`; its binary frames are the terminal's bytes. */
import * as z from "zod/mini";
import { json } from "./json.js";
import { terminalSize } from "./schemas.js";

/**
 * A browser's WebSocket sends no headers: a token goes as a sub-protocol, in base64url after {@link TOKEN_PROTOCOL}, beside {@link PROTOCOL}, which the server takes.
 * Ours understands it; others have no tokens, and whatever stands before them reads the header.
 */
export const PROTOCOL = "boxrun";
export const TOKEN_PROTOCOL = "boxrun.token.";

/** What a client sends: its new size; or, with `flow=1` in the query, that it can take no more for now. */
export const clientFrame = z.pipe(
  json,
  z.discriminatedUnion("type", [
    z.object({ type: z.literal("resize"), cols: terminalSize, rows: terminalSize }),
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
