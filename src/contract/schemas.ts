import * as z from "zod/mini";

/** Defaults of the published API. */
export const DEFAULT_CPU = 2;
export const DEFAULT_MEMORY_MB = 1024;
export const DEFAULT_DISK_GB = 8;
export const DEFAULT_WORKDIR = "/root";

const BOX_ID = /^box_[0-9A-Za-z]{12}$/;
const BOX_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

const text = z
  .string()
  .check(z.refine((value) => !value.includes("\0"), "must not contain a zero character"));
const positive = z.int("must be a whole number").check(z.positive("must be more than 0"));
const absolutePath = text.check(z.startsWith("/", "must be an absolute path"));
const environment = z.record(
  text.check(z.regex(/^[^=]+$/, "must have names that are not empty and contain no '='")),
  text,
);

/** What a box is to be, its defaults filled in. */
export const boxSpecSchema = z.strictObject({
  image: text.check(z.minLength(1, "must not be empty")),
  name: z._default(
    z.nullable(
      z.string().check(
        z.regex(
          BOX_NAME,
          "must be 1 to 63 letters, digits, '_', '.' or '-', and start with a letter or digit",
        ),
        z.refine((value) => !BOX_ID.test(value), "must not look like a box id"),
      ),
    ),
    null,
  ),
  cpu: z._default(positive, DEFAULT_CPU),
  memoryMb: z._default(positive, DEFAULT_MEMORY_MB),
  diskSizeGb: z._default(positive, DEFAULT_DISK_GB),
  network: z._default(z.boolean(), false),
  workdir: z._default(absolutePath, DEFAULT_WORKDIR),
  env: z._default(z.nullable(environment), null),
  volumes: z._default(
    z.nullable(
      z.array(
        z.strictObject({ hostPath: text, guestPath: absolutePath, readonly: z.exactOptional(z.boolean()) }),
      ),
    ),
    null,
  ),
});

/** A command, its defaults filled in. */
export const execSpecSchema = z.strictObject({
  cmd: z.array(text).check(
    z.minLength(1, "must not be empty"),
    z.refine((cmd) => cmd[0] !== "", "must begin with the name of a program"),
  ),
  env: z._default(z.nullable(environment), null),
  workdir: z._default(z.nullable(absolutePath), null),
  timeoutMs: z._default(
    z.nullable(
      // The largest delay of a JavaScript timer.
      positive.check(z.maximum(2 ** 31 - 1, "must be at most 2147483647 (24 days)")),
    ),
    null,
  ),
  stdin: z._default(z.boolean(), false),
});

/** Options of the local backend. */
export const localOptionsSchema = z.strictObject({
  assets: z.optional(text),
  logLimitBytes: z.optional(
    z.int("must be a whole number of bytes").check(z.minimum(0, "must be at least 0")),
  ),
});
