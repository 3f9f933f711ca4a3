/** The events of `POST .../files/watch`, which only servers of this project have: a server-sent event for each change, with the kind of the change as its name. */
import * as z from "zod/mini";
import { json } from "./json.js";
import { readName, writeName } from "./names.js";
import { pathFault } from "./paths.js";
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

/** Returns the schema of an event's data by the name of the event; undefined for other names, which newer servers may send. */
export function changeSchema(event: string): z.ZodMiniType<FileChange> | undefined {
  switch (event) {
    case "created":
    case "changed":
    case "removed":
    case "overflow":
      return z.pipe(
        z.pipe(json, z.object({ path: optionalText, path_b64: optionalText })),
        z.transform((data, context): FileChange => ({ type: event, path: pathOf(data, "path", context) })),
      );
    case "renamed":
      return z.pipe(
        z.pipe(
          json,
          z.object({
            path: optionalText,
            path_b64: optionalText,
            from: optionalText,
            from_b64: optionalText,
          }),
        ),
        z.transform(
          (data, context): FileChange => ({
            type: event,
            path: pathOf(data, "path", context),
            from: pathOf(data, "from", context),
          }),
        ),
      );
    default:
      return undefined;
  }
}

type Names = Partial<Record<"path" | "path_b64" | "from" | "from_b64", string | null>>;

function pathOf(data: Names, key: "path" | "from", context: { issues: unknown[] }): Uint8Array {
  let fault: string | undefined = "must be text, or base64";
  try {
    const path = readName(data[key], data[`${key}_b64`]);
    fault = pathFault(path);
    if (!fault) return path;
  } catch {
    // The fault stands.
  }
  context.issues.push({ code: "custom", path: [key], message: fault, input: data[key] });
  return z.NEVER;
}
