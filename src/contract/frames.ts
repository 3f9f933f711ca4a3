import * as z from "zod/mini";
import { describeIssue } from "./issues.js";
import { json } from "./json.js";

/** Schema of JSON with a field `type` that says which other fields it has. Null for types that only newer versions know. */
export function framesOf<T extends { type: string }>(
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
