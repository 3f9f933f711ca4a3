/** Reading `GET .../events`: server-sent events out of bytes, and the API's events out of those. */
import { createParser } from "eventsource-parser";
import * as z from "zod/mini";
import { fromBase64 } from "../util/base64.js";
import { json } from "./json.js";
import { optional, wholeNumber } from "./schemas.js";
import type { BackendEvent } from "./types.js";
import { exitCode } from "./wire.js";

/** One server-sent event. */
export interface SseEvent {
  /** "message" where the stream names none. */
  event: string;
  data: string;
}

/** Far above what any server sends in one event; a stream without a line's end must not fill the memory. */
const MAX_EVENT_CHARS = 64 * 2 ** 20;

/**
 * Decodes a stream of server-sent events that may be cut anywhere: in a line, in a line's end, in a character.
 *
 * @example
 * const decoder = new SseDecoder();
 * for await (const bytes of body) for (const { event, data } of decoder.push(bytes)) console.log(event, data);
 * for (const { event, data } of decoder.end()) console.log(event, data);
 */
export class SseDecoder {
  // It also takes a byte order mark away, which the parser does not.
  private readonly decoder = new TextDecoder();
  private ready: SseEvent[] = [];
  /** Since the last event: all that the next one may hold on to, comments included. */
  private pending = 0;
  private endsInCr = false;
  private readonly parser = createParser({
    onEvent: ({ event, data }) => this.ready.push({ event: event ?? "message", data }),
  });

  /** The events that these bytes complete. Throws a RangeError when one grows beyond all measure. */
  push(bytes: Uint8Array): SseEvent[] {
    return this.feed(this.decoder.decode(bytes, { stream: true }));
  }

  /** What the end of the stream completes. An event without its empty line was cut off: it is no event. */
  end(): SseEvent[] {
    return this.feed(this.decoder.decode());
  }

  private feed(text: string): SseEvent[] {
    if (text === "") return [];
    this.parser.feed(this.withLineFeeds(text));
    this.pending = this.ready.length > 0 ? 0 : this.pending + text.length;
    if (this.pending > MAX_EVENT_CHARS) throw new RangeError("an event is larger than 64 MiB");
    return this.ready.splice(0);
  }

  /** A line may end in CR, LF or both. The parser takes LF in one pass; to each CR it would look for the next LF, through all that is there. */
  private withLineFeeds(text: string): string {
    const rest = this.endsInCr && text.startsWith("\n") ? text.slice(1) : text;
    this.endsInCr = text.endsWith("\r");
    return rest.includes("\r") ? rest.replace(/\r\n?/g, "\n") : rest;
  }
}

/** An event as a server sends it. An exit may say in words why there is no better code. */
export type ServerEvent =
  | Extract<BackendEvent, { type: "log" }>
  | (Extract<BackendEvent, { type: "exit" }> & { error: string | null });

/** Reads the data of a "log" event. A stream of another name than the two is null: there is nothing to show it as. */
const logEvent = z.pipe(
  z.pipe(
    json,
    z.object({
      stream: z.nullable(z.string()),
      data: z.string(),
      seq: wholeNumber,
      b64: z.optional(z.string()),
    }),
  ),
  z.transform(({ stream, data, seq, b64 }, context): ServerEvent | null => {
    if (stream !== "stdout" && stream !== "stderr") return null;
    try {
      return {
        type: "log",
        stream,
        bytes: b64 === undefined ? new TextEncoder().encode(data) : fromBase64(b64),
        seq,
      };
    } catch {
      context.issues.push({ code: "custom", path: ["b64"], message: "must be base64", input: b64 });
      return z.NEVER;
    }
  }),
);

const exitData = z.pipe(json, z.object({ exit_code: optional(exitCode), error: optional(z.string()) }));

/** Reads the data of an "exit" event, whose own data is JSON in a string. */
const exitEvent = z.pipe(
  z.pipe(json, z.object({ data: exitData, seq: wholeNumber })),
  z.transform(({ data, seq }): ServerEvent | null => ({
    type: "exit",
    exitCode: data.exit_code,
    error: data.error,
    seq,
  })),
);

/** How to read the data of an event; undefined for events of other names, which newer servers may send. */
export function eventSchema(event: string): z.ZodMiniType<ServerEvent | null> | undefined {
  if (event === "log") return logEvent;
  return event === "exit" ? exitEvent : undefined;
}
