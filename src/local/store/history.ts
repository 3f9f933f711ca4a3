import * as z from "zod/mini";
import type { BackendEvent, ExecInfo, ExecStatus } from "../../backend/backend.js";

/** Number of bytes of each command's output that outlive the run of its box: the first ones. */
export const HISTORY_OUTPUT_BYTES = 64 * 1024;
/** Number of characters that are kept of a command's words, and as many of its environment. Either may be megabytes. */
const HISTORY_COMMAND_CHARACTERS = 16 * 1024;
/** Number of commands of a box that are remembered. The oldest are forgotten first. */
export const HISTORY_LIMIT = 1000;
/** Size of the whole history that outlives the run of a box, in bytes. The oldest are forgotten first. */
export const HISTORY_BYTES = 16 * 2 ** 20;
/** Approximate size of everything but the output, and of each piece of output beside its bytes. */
const PIECE_OVERHEAD_BYTES = 64;

type LogEvent = Extract<BackendEvent, { type: "log" }>;
/** A finished command, as the history keeps it. */
export interface FinishedExecution {
  info: ExecInfo;
  events: BackendEvent[];
}

const time = z.string().check(z.refine((value) => !Number.isNaN(Date.parse(value))));
const entrySchema = z.object({
  info: z.object({
    id: z.string(),
    boxId: z.string(),
    status: z.string(),
    cmd: z.array(z.string()),
    env: z.nullable(z.record(z.string(), z.string())),
    workdir: z.nullable(z.string()),
    timeoutMs: z.nullable(z.number()),
    exitCode: z.nullable(z.number()),
    errorMessage: z.nullable(z.string()),
    createdAt: time,
    /** Null in an entry that was written when the command began. */
    finishedAt: z.nullable(time),
    truncated: z.exactOptional(z.boolean()),
  }),
  output: z.array(
    z.object({ stream: z.enum(["stdout", "stderr"]), bytes: z.instanceof(Uint8Array), seq: z.int() }),
  ),
  exitSeq: z.int(),
});

/** Returns the history entry of a command: a running one, or a finished one with the beginning of its output. */
export function encodeEntry(info: ExecInfo, output: readonly LogEvent[], exitSeq: number): object {
  let room = HISTORY_OUTPUT_BYTES;
  const kept: Omit<LogEvent, "type">[] = [];
  let cut = false;
  for (const { stream, bytes, seq } of output) {
    // A copy, because a database would otherwise keep the whole buffer that these bytes are a view of.
    if (room > 0) kept.push({ stream, bytes: bytes.slice(0, room), seq });
    cut ||= bytes.byteLength > room;
    room -= Math.min(room, bytes.byteLength);
  }
  const { createdAt, finishedAt, truncated, cmd, env, ...rest } = info;
  return {
    info: {
      ...rest,
      cmd: beginning(cmd),
      env: JSON.stringify(env).length > HISTORY_COMMAND_CHARACTERS ? null : env,
      createdAt: createdAt.toISOString(),
      finishedAt: finishedAt?.toISOString() ?? null,
      ...((truncated || cut) && { truncated: true }),
    },
    output: kept,
    exitSeq,
  };
}

/** Returns the first words, up to the limit. */
function beginning(cmd: readonly string[]): string[] {
  let room = HISTORY_COMMAND_CHARACTERS;
  const kept: string[] = [];
  for (const word of cmd) {
    if (room <= 0) break;
    kept.push(word.length > room ? `${word.slice(0, room)}…` : word);
    // An empty word counts, too.
    room -= word.length + 1;
  }
  return kept;
}

/** Returns the newest entries, up to the limits of number and size. */
export function newestEntries(entries: readonly unknown[]): unknown[] {
  let from = entries.length;
  for (let bytes = 0; from > 0 && entries.length - from < 2 * HISTORY_LIMIT; from--) {
    bytes += entryBytes(entries[from - 1]);
    if (bytes > HISTORY_BYTES) break;
  }
  return entries.slice(from);
}

/** Returns the approximate size of an entry, which may be anything, since another version may have written it. */
export function entryBytes(entry: unknown): number {
  const { info, output } = (entry ?? {}) as { info?: unknown; output?: unknown };
  let bytes = JSON.stringify(info ?? null).length;
  if (Array.isArray(output))
    for (const piece of output) bytes += PIECE_OVERHEAD_BYTES + (piece?.bytes?.byteLength ?? 0);
  return bytes;
}

/** Decodes the readable entries, the latest of each command, oldest command first. */
export function decodeEntries(boxId: string, entries: readonly unknown[]): FinishedExecution[] {
  const found = new Map<string, FinishedExecution>();
  for (const entry of entries) {
    const parsed = entrySchema.safeParse(entry);
    if (!parsed.success || parsed.data.info.boxId !== boxId) continue;
    const { output, exitSeq } = parsed.data;
    const { createdAt, finishedAt, ...rest } = parsed.data.info;
    const cutOff = { errorMessage: "the box ended while the command ran", exitCode: null };
    const info: ExecInfo = {
      ...rest,
      status: finishedAt === null ? "error" : (rest.status as ExecStatus),
      ...(finishedAt === null && cutOff),
      createdAt: new Date(createdAt),
      finishedAt: new Date(finishedAt ?? createdAt),
    };
    const events = output.map((event): BackendEvent => ({ type: "log", ...event }));
    found.set(info.id, {
      info,
      events: [...events, { type: "exit", exitCode: info.exitCode, seq: exitSeq }],
    });
  }
  return [...found.values()].slice(-HISTORY_LIMIT);
}
