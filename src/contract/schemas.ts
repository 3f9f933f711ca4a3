import * as z from "zod/mini";
import { BOX_ID } from "../util/ids.js";

/** Defaults of the published API. */
export const DEFAULT_CPU = 2;
export const DEFAULT_MEMORY_MB = 1024;
export const DEFAULT_DISK_GB = 8;
export const DEFAULT_WORKDIR = "/root";
export const DEFAULT_GC_SECONDS = 3600;

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

/** The fields of a box, without defaults. */
export const boxFields = {
  image: text.check(z.minLength(1, "must not be empty")),
  name: z.string().check(
    z.regex(BOX_NAME, "must be 1 to 63 letters, digits, '_', '.' or '-', and start with a letter or digit"),
    z.refine((value) => !BOX_ID.test(value), "must not look like a box id"),
  ),
  cpu: positive,
  memoryMb: positive,
  diskSizeGb: positive,
  network: z.boolean(),
  workdir: absolutePath,
  env: environment,
  hostPath: text,
  guestPath: absolutePath,
};

/** What a box is to be, its defaults filled in. */
export const boxSpecSchema = z.strictObject({
  image: boxFields.image,
  name: z._default(z.nullable(boxFields.name), null),
  cpu: z._default(boxFields.cpu, DEFAULT_CPU),
  memoryMb: z._default(boxFields.memoryMb, DEFAULT_MEMORY_MB),
  diskSizeGb: z._default(boxFields.diskSizeGb, DEFAULT_DISK_GB),
  network: z._default(boxFields.network, false),
  workdir: z._default(boxFields.workdir, DEFAULT_WORKDIR),
  env: z._default(z.nullable(boxFields.env), null),
  volumes: z._default(
    z.nullable(
      z.array(
        z.strictObject({
          hostPath: boxFields.hostPath,
          guestPath: boxFields.guestPath,
          readonly: z.exactOptional(z.boolean()),
        }),
      ),
    ),
    null,
  ),
});
/** A {@link boxSpecSchema} before its defaults are filled in. */
export type BoxSpecInput = z.input<typeof boxSpecSchema>;

/** The fields of a command, without defaults. */
export const execFields = {
  cmd: z.array(text).check(
    z.minLength(1, "must not be empty"),
    z.refine((cmd) => cmd[0] !== "", "must begin with the name of a program"),
  ),
  env: environment,
  workdir: absolutePath,
  // The largest delay of a JavaScript timer.
  timeoutMs: positive.check(z.maximum(2 ** 31 - 1, "must be at most 2147483647 (24 days)")),
};

/** A command, its defaults filled in. */
export const execSpecSchema = z.strictObject({
  cmd: execFields.cmd,
  env: z._default(z.nullable(execFields.env), null),
  workdir: z._default(z.nullable(execFields.workdir), null),
  timeoutMs: z._default(z.nullable(execFields.timeoutMs), null),
  stdin: z._default(z.boolean(), false),
});
/** An {@link execSpecSchema} before its defaults are filled in. */
export type ExecSpecInput = z.input<typeof execSpecSchema>;

/** How a signal is named: "SIGINT". */
export const signalName = z.string().check(z.regex(/^SIG[A-Z0-9+-]{1,12}$/, 'must be a name as "SIGINT"'));

/** The size of a terminal that names none. */
const DEFAULT_COLS = 80;
const DEFAULT_ROWS = 24;
const DEFAULT_TERM = "xterm-256color";

/** Columns or rows. */
export const terminalSize = z.int().check(z.minimum(1), z.maximum(1000));

/** What a terminal is to be, its defaults filled in. */
export const terminalSpecSchema = z.strictObject({
  shell: z._default(
    z.nullable(z.string().check(z.regex(/^[^\0]+$/, "must be a program's name or path"))),
    null,
  ),
  cols: z._default(terminalSize, DEFAULT_COLS),
  rows: z._default(terminalSize, DEFAULT_ROWS),
  term: z._default(
    z.string().check(z.regex(/^[A-Za-z0-9._+-]{1,64}$/, "must be the name of a terminal")),
    DEFAULT_TERM,
  ),
});

/** Options of the local backend. */
export const localOptionsSchema = z.strictObject({
  assets: z.optional(text),
  state: z.optional(text.check(z.minLength(1, "must not be empty"))),
  cache: z.optional(text.check(z.minLength(1, "must not be empty"))),
  persistent: z.optional(z.boolean()),
  durability: z.optional(z.enum(["relaxed", "strict"], 'must be "relaxed" or "strict"')),
  strictImages: z.optional(z.boolean()),
  logLimitBytes: z.optional(
    z.int("must be a whole number of bytes").check(z.minimum(0, "must be at least 0")),
  ),
});

const milliseconds = z.optional(execFields.timeoutMs);
const isFunction = (value: unknown) => typeof value === "function";
const nonEmpty = text.check(z.minLength(1, "must not be empty"));

/** Options of the client that say where its server is and how to speak to it. */
export const connectionOptionsSchema = z.strictObject({
  baseUrl: z.optional(nonEmpty),
  socketPath: z.optional(nonEmpty),
  // Never in an error: its check is the caller's.
  token: z.optional(z.unknown()),
  headers: z.optional(
    z.record(
      z.string().check(z.regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, "must have names that HTTP allows")),
      z.string().check(z.regex(/^[\t\x20-\x7e\x80-\xff]*$/, "must be text that HTTP allows in a header")),
    ),
  ),
  fetch: z.optional(z.unknown().check(z.refine(isFunction, "must be a function"))),
  WebSocket: z.optional(z.unknown().check(z.refine(isFunction, "must be a class"))),
  timeouts: z.optional(
    z.strictObject({
      requestMs: milliseconds,
      lifecycleMs: milliseconds,
      silenceMs: milliseconds,
      probeMs: milliseconds,
    }),
  ),
});
