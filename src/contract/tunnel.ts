/** Text frames of `GET .../ports/{port}/connect`. Its binary frames are the bytes of the connection. Both sides send the same frames. */
import * as z from "zod/mini";
import { framesOf } from "./frames.js";

/** Schema of a text frame. Null for a frame that only newer versions know. */
export const tunnelFrame = framesOf<TunnelFrame>({
  open: z.object({}),
  eof: z.object({}),
  pause: z.object({}),
  resume: z.object({}),
  alive: z.object({}),
  error: z.object({ code: z.string(), message: z.string() }),
});

/**
 * A text frame of a connection to a port: "open" from the server when it is connected; "eof" when a side sends nothing more; "pause" and "resume" to the sender
 * of too much; "alive" from the server at intervals; an error, after which the socket is closed.
 */
export type TunnelFrame =
  | { type: "open" | "eof" | "pause" | "resume" | "alive" }
  | {
      type: "error";
      /** Code of the error, one of {@link ERROR_CODES} as far as this version knows them. */
      code: string;
      /** Message of the error. */
      message: string;
    };
