import type * as z from "zod/mini";
import { describeIssue, PARSE_OPTIONS } from "../contract/issues.js";
import { concatBytes } from "../util/bytes.js";
import { closest } from "../util/closest.js";
import { HttpError } from "./http-error.js";

/** Reads the whole body of a request. Answers 413 beyond `maxBytes`, whether or not the request announces its length. */
export async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  refuseLength(request, maxBytes);
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > maxBytes) {
      await reader.cancel().catch(() => {});
      throw tooLarge(maxBytes);
    }
    chunks.push(value);
  }
  return concatBytes(chunks);
}

/**
 * Reads a JSON body that matches a schema; an empty body counts as `{}`. Answers 415 for another type, 400 when it is not JSON, and 422 when it does not match.
 */
export async function readJson<T extends z.ZodMiniType>(
  request: Request,
  schema: T,
  maxBytes: number,
): Promise<z.infer<T>> {
  const bytes = await readBytes(request, maxBytes);
  if (bytes.byteLength > 0) requireType(request, "application/json");
  let body: unknown;
  try {
    body = bytes.byteLength === 0 ? {} : JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new HttpError(400, `the body is not JSON: ${(error as Error).message}`);
  }
  const parsed = schema.safeParse(body, PARSE_OPTIONS);
  if (!parsed.success) throw new HttpError(422, describeIssue(parsed.error));
  refuseMisspelt(body as object, fieldsOf(schema));
  return parsed.data;
}

/**
 * Refuses a field that is almost one of the schema's, whose value would have no effect. Any other unknown field is ignored, as every BoxRun server does: a
 * client of a later version may send it.
 */
function refuseMisspelt(body: object, fields: readonly string[]): void {
  for (const given of Object.keys(body)) {
    const meant = fields.includes(given) ? undefined : closest(given, fields);
    if (meant !== undefined) throw new HttpError(422, `unknown field ${given}: did you mean ${meant}?`);
  }
}

/** Returns the names of the fields of an object's schema, whatever becomes of the object afterwards. */
function fieldsOf(schema: z.ZodMiniType): string[] {
  let { def } = schema._zod as { def: { in?: z.ZodMiniType; shape?: object } };
  while (def.in) ({ def } = def.in._zod as { def: typeof def });
  return Object.keys(def.shape ?? {});
}

/** Checks the type of a body. Answers 415 for another one. */
export function requireType(request: Request, type: string): void {
  const given = request.headers.get("content-type") ?? "";
  if (given.split(";")[0]!.trim().toLowerCase() === type) return;
  throw new HttpError(415, `the body must be ${type}, got ${given || "no content type"}`);
}

/** Checks the announced length of a body. Answers 413 when it is too large. */
export function refuseLength(request: Request, maxBytes: number): void {
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
}

/** Creates the error for a body that is too large. */
export function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `the body is larger than this server's limit of ${maxBytes} bytes`);
}
