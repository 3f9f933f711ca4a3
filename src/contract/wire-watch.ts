/** The events of `POST .../files/watch`, which only servers of this project have: a server-sent event for each change, with the kind of the change as its name. */
import * as z from "zod/mini";
import { json } from "./json.js";
import { readPath, writeName } from "./names.js";
import { optional } from "./schemas.js";
import type { FileChange } from "./types.js";

/** Writes a change as a server-sent event. */
export function toWireChange(change: FileChange): string {
  const from = change.type === "renamed" ? writeName("from", change.from) : {};
  return sse(change.type, { ...writeName("path", change.path), ...from });
}

/** Writes the end of a watch: an error's body, or null where what was watched is gone. */
export function toWireEnd(error: object | null): string {
  return error ? sse("error", error) : sse("end", {});
}

function sse(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

const optionalText = optional(z.string());
const pathFields = { path: optionalText, path_b64: optionalText };
const fromFields = { from: optionalText, from_b64: optionalText };

/** Returns the schema of an event's data by the name of the event; undefined for other names, which newer servers may send. */
export function changeSchema(event: string): z.ZodMiniType<FileChange> | undefined {
  switch (event) {
    case "created":
    case "changed":
    case "removed":
    case "overflow":
      return z.pipe(
        z.pipe(json, z.object(pathFields)),
        z.transform(({ path, path_b64 }, context): FileChange => {
          return { type: event, path: readPath(context, "path", path, path_b64) };
        }),
      );
    case "renamed":
      return z.pipe(
        z.pipe(json, z.object({ ...pathFields, ...fromFields })),
        z.transform(({ path, path_b64, from, from_b64 }, context): FileChange => {
          return {
            type: event,
            path: readPath(context, "path", path, path_b64),
            from: readPath(context, "from", from, from_b64),
          };
        }),
      );
    default:
      return undefined;
  }
}
