import * as z from "zod/mini";
import { BOX_ID } from "../util/ids.js";
import type { VolumeSpec } from "./types.js";

/** Defaults of the published API. */
export const DEFAULT_CPU = 2;
export const DEFAULT_MEMORY_MB = 1024;
/** Permission bits of a new file, unless the caller says otherwise. */
export const DEFAULT_FILE_MODE = 0o644;
export const DEFAULT_DISK_GB = 8;
export const DEFAULT_WORKDIR = "/root";
export const DEFAULT_GC_SECONDS = 3600;

const BOX_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;

/** Most rules that a network has, of each kind: each is looked at for each connection. */
const MAX_RULES = 1000;

// Checks are of one kind, and defaults are made of what the wire's schemas are made of: each of zod's own for it would make the root entry larger.
/** Check of a text by a pattern. */
export const matching = (pattern: RegExp, message: string) =>
  z.refine<string>((value) => pattern.test(value), message);
/** Check of a number against its lower limit. */
export const atLeast = (least: number) =>
  z.refine<number>((value) => value >= least, `must be at least ${least}`);
const named = matching(
  BOX_NAME,
  "must be 1 to 63 letters, digits, '_', '.' or '-', and start with a letter or digit",
);
const atMost = (most: number, words = "") =>
  z.refine<number>((value) => value <= most, `must be at most ${most}${words}`);
/** Schema with a default for a value that is absent or undefined. */
const withDefault = <T extends z.ZodMiniType, D extends z.output<T>>(schema: T, value: D) =>
  z.pipe(
    z.optional(schema),
    z.transform((given): z.output<T> => (given === undefined ? value : given)),
  );

/** Schema of an optional value on the wire, where an absent key and null mean the same to every BoxRun server. */
export const optional = <T extends z.ZodMiniType>(schema: T) =>
  z.pipe(
    z.optional(z.nullable(schema)),
    z.transform((value) => value ?? null),
  );
/** Schema of a text that a box can have. */
export const text = z
  .string()
  .check(matching(/^[^\0\p{Cs}]*$/u, "must not contain null characters or half surrogate pairs"));
/** Schema of a text that is not empty. */
export const nonEmpty = text.check(matching(/./s, "must not be empty"));
/** Schema of a whole number. */
export const wholeNumber = z.number().check(z.refine(Number.isSafeInteger, "must be an integer"));
/** Schema of permission bits. */
export const permissions = wholeNumber.check(atLeast(0), atMost(0o7777));
/** Schema of a whole number above 0. */
export const positive = wholeNumber.check(z.refine((value) => value > 0, "must be greater than 0"));
// As pathFault in paths.ts, which would make the root entry larger.
export const absolutePath = text.check(matching(/^\//, "must be an absolute path"));
const rules = z.exactOptional(
  z.array(nonEmpty).check(z.refine((all) => all.length <= MAX_RULES, `must be at most ${MAX_RULES} rules`)),
);
/** Schema of the rules of a network. rules.ts says what they mean. */
export const networkRules = z.strictObject({
  allow: rules,
  deny: rules,
  lan: z.exactOptional(z.string().check(named)),
});
/** Schema of a box's network: whether it has one, or its rules. */
const network = z.union([z.boolean(), networkRules]);
/** Schema of the network of a box that has one. */
export const presentNetwork = z.union([z.literal(true), networkRules]);
const environment = z.record(text.check(matching(/^[^=]+$/, "must be a non-empty name without '='")), text);

/** Schemas of the fields of a box, without defaults. */
export const boxFields = {
  image: nonEmpty,
  name: z.string().check(
    named,
    z.refine((value) => !BOX_ID.test(value), "must not look like a box id"),
  ),
  cpu: positive,
  memoryMb: positive,
  diskSizeGb: positive,
  network,
  workdir: absolutePath,
  env: environment,
  hostPath: text,
  guestPath: absolutePath,
};

const volume = z.pipe(
  z
    .strictObject({
      hostPath: z.exactOptional(boxFields.hostPath),
      source: z.exactOptional(z.literal(["memory", "folder"])),
      guestPath: boxFields.guestPath,
      readonly: z.exactOptional(z.boolean()),
    })
    .check(
      z.refine(({ hostPath, source }) => hostPath !== undefined || source !== undefined, {
        path: ["hostPath"],
        error: "is missing",
      }),
      z.refine(({ hostPath, source }) => hostPath === undefined || source === undefined, {
        path: ["source"],
        error: "cannot be given with hostPath",
      }),
    ),
  z.transform((given) => given as VolumeSpec),
);

/** Schema of a box to create. Fills in the defaults. */
export const boxSpecSchema = z.strictObject({
  image: boxFields.image,
  name: withDefault(z.nullable(boxFields.name), null),
  cpu: withDefault(boxFields.cpu, DEFAULT_CPU),
  memoryMb: withDefault(boxFields.memoryMb, DEFAULT_MEMORY_MB),
  diskSizeGb: withDefault(boxFields.diskSizeGb, DEFAULT_DISK_GB),
  network: withDefault(boxFields.network, false),
  workdir: withDefault(boxFields.workdir, DEFAULT_WORKDIR),
  env: withDefault(z.nullable(boxFields.env), null),
  volumes: withDefault(z.nullable(z.array(volume)), null),
});
/** Input of {@link boxSpecSchema}, before its defaults are filled in. */
export type BoxSpecInput = z.input<typeof boxSpecSchema>;

/** Schemas of the fields of a command, without defaults. */
export const execFields = {
  cmd: z.array(text).check(
    z.refine((cmd) => cmd.length > 0, "must not be empty"),
    z.refine((cmd) => cmd[0] !== "", "must begin with a program name"),
  ),
  env: environment,
  workdir: absolutePath,
  stderr: z.pipe(
    z.string().check(matching(/^stdout$/, 'must be "stdout"')),
    z.transform(() => "stdout" as const),
  ),
  // The largest delay of a JavaScript timer.
  timeoutMs: positive.check(atMost(2 ** 31 - 1, " (24 days)")),
};

/** Schema of a command to run. Fills in the defaults. */
export const execSpecSchema = z.strictObject({
  cmd: execFields.cmd,
  env: withDefault(z.nullable(execFields.env), null),
  workdir: withDefault(z.nullable(execFields.workdir), null),
  timeoutMs: withDefault(z.nullable(execFields.timeoutMs), null),
  stdin: withDefault(z.boolean(), false),
  stderr: z.exactOptional(execFields.stderr),
});
/** Input of {@link execSpecSchema}, before its defaults are filled in. */
export type ExecSpecInput = z.input<typeof execSpecSchema>;

/** Schema of the name of a signal: "SIGINT". */
export const signalName = z
  .string()
  .check(matching(/^SIG[A-Z0-9+-]{1,12}$/, 'must be a signal name such as "SIGINT"'));

/** Size of a terminal, unless the caller says otherwise. */
const DEFAULT_COLS = 80;
const DEFAULT_ROWS = 24;
const DEFAULT_TERM = "xterm-256color";

/** Schema of a number of columns or rows. */
export const terminalSize = wholeNumber.check(atLeast(1), atMost(1000));

/** Schema of a terminal to open. Fills in the defaults. */
export const terminalSpecSchema = z.strictObject({
  shell: withDefault(
    z.nullable(z.string().check(matching(/^[^\0]+$/, "must be a program name or path"))),
    null,
  ),
  cols: withDefault(terminalSize, DEFAULT_COLS),
  rows: withDefault(terminalSize, DEFAULT_ROWS),
  term: withDefault(
    z.string().check(matching(/^[A-Za-z0-9._+-]{1,64}$/, 'must be a terminal type such as "xterm"')),
    DEFAULT_TERM,
  ),
});

const milliseconds = z.optional(execFields.timeoutMs);
const isFunction = (value: unknown) => typeof value === "function";

/** Schema of the options of the client that name its server and how to connect to it. */
export const connectionOptionsSchema = z.strictObject({
  baseUrl: z.optional(nonEmpty),
  socketPath: z.optional(nonEmpty),
  // Checked by the caller, since it must never be in an error.
  token: z.optional(z.unknown()),
  headers: z.optional(
    z.record(
      z.string().check(matching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, "must be a valid HTTP header name")),
      z.string().check(matching(/^[\t\x20-\x7e\x80-\xff]*$/, "must be a valid HTTP header value")),
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
