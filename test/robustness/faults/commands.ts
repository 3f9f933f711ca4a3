import { setImmediate as turn } from "node:timers/promises";
import type { FakeProcess, FakeProgram } from "../../../src/testing.js";
import { Random } from "./random.js";

/** The commands of the workloads, as one kind of server runs them. Each is started with a marker, by which its starts are counted. */
export interface Commands {
  /** Prints lines on both outputs, see {@link linesOf}. */
  lines(marker: string, count: number, exitCode: number): string[];
  /** Prints its input. */
  copy(marker: string): string[];
  sleep(marker: string, seconds: number): string[];
}

/** What the command "lines" prints on one of its outputs. */
export function linesOf(stream: "out" | "err", marker: string, count: number): string {
  let text = "";
  for (let i = 1; i <= count; i++) text += `${i} ${stream} ö€😀 ${marker}\n`;
  return text;
}

/** Of a fake box. */
export const FAKE_COMMANDS: Commands = {
  lines: (marker, count, exitCode) => ["lines", marker, String(count), String(exitCode)],
  copy: (marker) => ["copy", marker],
  sleep: (marker, seconds) => ["nap", marker, String(seconds)],
};

/** Of a box with a shell. It writes the marker down before it does anything else. */
export const SHELL_COMMANDS: Commands = {
  lines: (marker, count, exitCode) =>
    shell(
      marker,
      `seq 1 ${count} | sed 's/$/ out ö€😀 ${marker}/'; seq 1 ${count} | sed 's/$/ err ö€😀 ${marker}/' >&2; exit ${exitCode}`,
    ),
  copy: (marker) => shell(marker, "exec cat"),
  sleep: (marker, seconds) => shell(marker, `exec sleep ${seconds}`),
};
/** Where it does. */
export const STARTS_PATH = "/root/starts";

function shell(marker: string, script: string): string[] {
  return ["/bin/sh", "-c", `echo ${marker} >> ${STARTS_PATH}; ${script}`];
}

/** The programs of {@link FAKE_COMMANDS}. `received` gets what "copy" reads, by its marker. */
export function fakePrograms(received: Map<string, Uint8Array[]>): Record<string, FakeProgram> {
  return {
    lines: async ({ cmd, write, signal }) => {
      const [, marker = "", count, exitCode] = cmd;
      await printInPieces(marker, Number(count), write, signal);
      return Number(exitCode);
    },
    copy: async ({ cmd, stdin, write }) => {
      const chunks: Uint8Array[] = [];
      received.set(cmd[1] ?? "", chunks);
      const reader = stdin.getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        chunks.push(next.value);
        write(next.value);
      }
    },
    print: async ({ cmd, write }) => {
      for (const line of linesOf("out", cmd[1] ?? "", Number(cmd[2])).match(/.*\n/g) ?? []) write(line);
    },
    nap: ({ cmd, run }) => run(["sleep", cmd[2] ?? ""]),
  };
}

/** In pieces that end anywhere, in characters, too, and with pauses, so that there is something to follow live. */
async function printInPieces(
  marker: string,
  count: number,
  write: FakeProcess["write"],
  signal: AbortSignal,
): Promise<void> {
  const random = new Random(count + Number.parseInt(marker.slice(1), 36));
  const encoder = new TextEncoder();
  const rest = {
    stdout: encoder.encode(linesOf("out", marker, count)),
    stderr: encoder.encode(linesOf("err", marker, count)),
  };
  const largest = random.pick([200, 1000, 8000]);
  for (let piece = 0; rest.stdout.byteLength + rest.stderr.byteLength > 0 && !signal.aborted; piece++) {
    const stream = random.pick(["stdout", "stderr"] as const);
    const bytes = random.between(1, largest);
    write(rest[stream].subarray(0, bytes), stream);
    rest[stream] = rest[stream].subarray(bytes);
    if (piece % 100 === 0) await turn();
  }
}
