/** Text frames of `GET .../attach`. Its binary frames are the bytes of the terminal. */
import * as z from "zod/mini";
import { framesOf } from "./frames.js";
import { terminalSize, wholeNumber } from "./schemas.js";

/** Sub-protocol that the server accepts when a client offers it. */
export const PROTOCOL = "boxrun";
/**
 * Prefix of a sub-protocol that carries a token in base64url, beside {@link PROTOCOL}: a browser's WebSocket cannot send headers. Servers of this project
 * understand it. Others have no tokens, and a proxy before them reads the header.
 */
export const TOKEN_PROTOCOL = "boxrun.token.";

/** Schema of a text frame from the client. Null for a frame that only newer versions know. */
export const clientFrame = framesOf<ClientFrame>({
  resize: z.object({ cols: terminalSize, rows: terminalSize }),
  pause: z.object({}),
  resume: z.object({}),
});
/** A text frame from the client: a new size of the terminal or, with `flow=1` in the query, a request to pause or resume output. */
export type ClientFrame =
  | {
      type: "resize";
      /** Width in columns, 1 to 1000. */
      cols: number;
      /** Height in rows, 1 to 1000. */
      rows: number;
    }
  | {
      /** "pause" when the client can take no more output, "resume" when it can again. */
      type: "pause" | "resume";
    };

/** Schema of a text frame from the server. Null for a frame that only newer versions know. */
export const serverFrame = framesOf<ServerFrame>({
  exit: z.object({ code: z.nullable(wholeNumber) }),
  error: z.object({ code: z.string(), message: z.string() }),
  alive: z.object({}),
});
/** A text frame from the server: the end of the shell, an error or, with `flow=1` in the query, a keep-alive. */
export type ServerFrame =
  | {
      type: "exit";
      /** Exit code of the shell; null when it was closed or killed from the client's side. */
      code: number | null;
    }
  | {
      type: "error";
      /** Code of the error, one of {@link ERROR_CODES} as far as this version knows them. */
      code: string;
      /** Message of the error. */
      message: string;
    }
  | { type: "alive" };
