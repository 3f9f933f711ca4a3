/** The text frames of `GET .../attach`; its binary frames are the terminal's bytes. */
import * as z from "zod/mini";
import { describeIssue } from "./issues.js";
import { json } from "./json.js";
import { terminalSize, wholeNumber } from "./schemas.js";

/**
 * A browser's WebSocket sends no headers: a token goes as a sub-protocol, in base64url after {@link TOKEN_PROTOCOL}, beside {@link PROTOCOL}, which the server takes.
 * Ours understands it; others have no tokens, and whatever stands before them reads the header.
 */
export const PROTOCOL = "boxrun";
export const TOKEN_PROTOCOL = "boxrun.token.";

/** What a client sends: its new size; or, with `flow=1` in the query, that it can take no more for now. */
export const clientFrame = framesOf<ClientFrame>({
  resize: z.object({ cols: terminalSize, rows: terminalSize }),
  pause: z.object({}),
  resume: z.object({}),
});
/** See {@link clientFrame}. */
export type ClientFrame = { type: "resize"; cols: number; rows: number } | { type: "pause" | "resume" };

/** What a server sends: the end; what went wrong; or, with `flow=1`, that it is there. */
export const serverFrame = framesOf<ServerFrame>({
  exit: z.object({ code: z.nullable(wholeNumber) }),
  error: z.object({ code: z.string(), message: z.string() }),
  alive: z.object({}),
});
/** See {@link serverFrame}. */
export type ServerFrame =
  | { type: "exit"; code: number | null }
  | { type: "error"; code: string; message: string }
  | { type: "alive" };

/** Reads JSON whose `type` says what else is in it. Null for types that only newer versions have. */
function framesOf<T extends { type: string }>(
  schemas: Record<T["type"], z.ZodMiniType<Omit<T, "type">>>,
): z.ZodMiniType<T | null, string> {
  return z.pipe(
    z.pipe(json, z.looseObject({ type: z.string() })),
    z.transform((frame, context): T | null => {
      const type = frame.type as T["type"];
      if (!Object.hasOwn(schemas, type)) return null;
      const read = schemas[type].safeParse(frame);
      if (read.success) return { type, ...read.data } as T;
      context.issues.push({ code: "custom", message: describeIssue(read.error), input: frame });
      return z.NEVER;
    }),
  );
}
