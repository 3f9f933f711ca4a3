import type * as z from "zod/mini";
import { describeIssue, PARSE_OPTIONS } from "../contract/issues.js";
import { concatBytes } from "../util/bytes.js";
import { HttpError } from "./http-error.js";

/** The body of a request, whole. 413 beyond `maxBytes`, whether it says its length or not. */
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

/** A body of JSON that fits a schema. An empty one is `{}`. 415, 400 for what is not JSON, 422 for what does not fit. */
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
  if (parsed.success) return parsed.data;
  throw new HttpError(422, describeIssue(parsed.error));
}

/** 415 unless the body is of this type. */
export function requireType(request: Request, type: string): void {
  const given = request.headers.get("content-type") ?? "";
  if (given.split(";")[0]!.trim().toLowerCase() === type) return;
  throw new HttpError(415, `the body must be ${type}, and is ${given || "of no type"}`);
}

/** 413 when the request says that it is larger. */
export function refuseLength(request: Request, maxBytes: number): void {
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge(maxBytes);
}

/** The error of a body that is too large. */
export function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `the body is larger than this server takes: ${maxBytes} bytes`);
}
