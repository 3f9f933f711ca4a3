import type { Terminal } from "../../../src/backend/backend.js";
import { isBoxRunError } from "../../../src/backend/errors.js";
import type { BoxHandle, BoxRunClient, ExecEvent } from "../../../src/index.js";
import { pattern, streamOf } from "../../../src/testing/contract/tools.js";
import { concatBytes } from "../../../src/util/bytes.js";
import { linesOf } from "./commands.js";
import type { Extent } from "./plan.js";
import type { Random } from "./random.js";
import type { Target } from "./servers.js";

/** What a workload works with. */
export interface Context {
  random: Random;
  client: BoxRunClient;
  target: Target;
  /** A box that is there before the client is. */
  box: string;
  /** Of this run: its markers and names begin with it. */
  run: string;
  /** The markers of the commands that this run asks for. Each may be started once, or not at all. */
  markers: string[];
}

/** A thing that users do, and what is right. */
export interface Workload {
  name: string;
  extent: Extent;
  /** True where nothing but questions follows the start of its one command: then no fault during those may be seen by the caller. */
  survives?: boolean;
  /** True where it may be right that the command was not started at all. */
  mayNotStart?: boolean;
  /** In a box of its own: in a real one, what counts its starts goes with it. */
  inOwnBox?: boolean;
  /** Why it is not for this target; undefined where it is. */
  cannot?(target: Target): string | undefined;
  /** Does it. Resolves when the result is right, throws {@link Wrong} when it is not, and what the client throws. */
  run(context: Context): Promise<void>;
  /** What is left on the server and should not be, or is not there and should be. `failed` when `run` did not resolve. */
  check?(context: Context, failed: boolean): Promise<string[]>;
}

/** A result that is not what it should be. */
export class Wrong extends Error {}

function expectThat(what: string, isSo: boolean): void {
  if (!isSo) throw new Wrong(what);
}

function newMarker({ run, markers }: Context): string {
  const marker = `${run}-${markers.length}`;
  markers.push(marker);
  return marker;
}

/** Found by its name or id, as users do first. */
const boxOf = ({ client, box }: Context): Promise<BoxHandle> => client.getBox(box);

const lineCount = ({ random, target }: Context) => Math.ceil(random.between(1000, 6000) * target.scale);
const fileBytes = ({ random, target }: Context) => Math.ceil(random.between(1, 1_500_000) * target.scale);

function expectLines(text: string, stream: "out" | "err", marker: string, count: number): void {
  const expected = linesOf(stream, marker, count);
  if (text === expected) return;
  let at = 0;
  while (at < text.length && text[at] === expected[at]) at++;
  throw new Wrong(
    `std${stream} is wrong from character ${at} of ${expected.length} on (${text.length} came): ${JSON.stringify(text.slice(at - 20, at + 40))}`,
  );
}

const UP = 3000;
const START = "POST \\S+/exec$";
const COMMAND = [START, "/events\\b"];
const DOWN = 600_000;

const exec: Workload = {
  name: "exec",
  extent: { upBytes: UP, downBytes: DOWN, aims: COMMAND },
  survives: true,
  run: async (context) => {
    const { random, target } = context;
    const [count, code, marker] = [lineCount(context), random.between(0, 255), newMarker(context)];
    const box = await boxOf(context);
    const result = await box.exec(target.commands.lines(marker, count, code));
    expectLines(result.stdout, "out", marker, count);
    expectLines(result.stderr, "err", marker, count);
    expectThat(`exit code ${result.exitCode}, not ${code}`, result.exitCode === code);
    expectThat("truncated", !result.truncated);
  },
};

const execStream: Workload = {
  name: "execStream",
  extent: { upBytes: UP, downBytes: DOWN, aims: COMMAND },
  survives: true,
  run: async (context) => {
    const { random, target } = context;
    const [count, code, marker] = [lineCount(context), random.between(0, 255), newMarker(context)];
    const slow = random.chance(0.3);
    const box = await boxOf(context);
    const execution = await box.execStream(target.commands.lines(marker, count, code));
    const events: ExecEvent[] = [];
    for await (const event of execution) {
      events.push(event);
      if (slow && events.length % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expectThat(
      "seq does not grow",
      events.every(({ seq }, i) => i === 0 || seq > (events[i - 1]?.seq ?? 0)),
    );
    const last = events.pop();
    expectThat("the last event is no exit", last?.type === "exit");
    expectThat(
      "there are two exits",
      events.every(({ type }) => type === "log"),
    );
    expectThat(`the exit code is not ${code}`, last?.type === "exit" && last.exitCode === code);
    for (const stream of ["stdout", "stderr"] as const) {
      const data = events.map((event) => (event.type === "log" && event.stream === stream ? event.data : ""));
      expectLines(data.join(""), stream === "stdout" ? "out" : "err", marker, count);
    }
  },
};

const wait: Workload = {
  name: "wait",
  extent: { upBytes: UP, downBytes: 5000, aims: [START, "exec/\\w+$"] },
  survives: true,
  run: async (context) => {
    const { random, target } = context;
    const [code, marker] = [random.between(0, 255), newMarker(context)];
    const box = await boxOf(context);
    const execution = await box.execStream(target.commands.lines(marker, 200, code), { detached: true });
    const found = await box.execution(execution.id);
    const { exitCode, status } = await found.wait();
    // A server that has forgotten how it ended says so.
    const isForgotten = exitCode === null && status === "error";
    expectThat(`exit code ${exitCode}, not ${code}`, exitCode === code || isForgotten);
  },
};

const stdin: Workload = {
  name: "stdin",
  extent: { upBytes: 500_000, downBytes: DOWN, aims: ["/stdin", "/events\\b"] },
  cannot: ({ hasStdin }) => (hasStdin ? undefined : "the published API gives commands no stdin"),
  run: async (context) => {
    const marker = newMarker(context);
    const input = inputOf(context);
    const box = await boxOf(context);
    const source = streamOf(input, context.random.between(1000, 100_000));
    const { stdoutBytes, exitCode } = await box.exec(context.target.commands.copy(marker), { stdin: source });
    expectThat(`exit code ${exitCode}`, exitCode === 0);
    expectThat("the output is not the input", Buffer.compare(stdoutBytes, input) === 0);
  },
  check: async (context) => {
    const received = context.target.received(`${context.run}-0`);
    if (!received) return [];
    const input = inputOf(context).subarray(0, received.byteLength);
    return Buffer.compare(received, input) === 0
      ? []
      : ["the command has read what was never written, or twice"];
  },
};
const inputOf = ({ run }: Context) => pattern(100_000 + (Number.parseInt(run.slice(1), 36) % 200_000));

const upload: Workload = {
  name: "upload",
  extent: { upBytes: 1_600_000, downBytes: 5000, aims: ["/upload"] },
  run: async (context) => {
    const { random, run } = context;
    const bytes = contentOf(context);
    const source = random.chance(0.5) ? bytes : streamOf(bytes, random.between(500, 200_000));
    const box = await boxOf(context);
    await box.upload(source, `/root/${run}`);
  },
  check: async (context, failed) => {
    const { target, box, run } = context;
    const found = await target.read(box, `/root/${run}`);
    if (!found) return failed ? [] : ["the upload has succeeded, and there is no file"];
    return Buffer.compare(found, contentOf(context)) === 0
      ? []
      : [`the file has ${found.byteLength} bytes, and is not what was sent`];
  },
};
const contentOf = ({ run, target }: Context) =>
  pattern(Math.ceil((1 + (Number.parseInt(run.slice(1), 36) % 1_500_000)) * target.scale));

const uploadInPieces: Workload = {
  name: "upload in pieces",
  extent: { upBytes: 2_600_000, downBytes: 5000, aims: ["/upload", START, "exec/\\w+$"] },
  cannot: ({ hasShell, hasStdin }) =>
    hasShell && !hasStdin
      ? undefined
      : "only a plain server gets pieces, which a shell in the box puts together",
  run: async ({ run, client, box }) => {
    await (await client.getBox(box)).upload(pattern(2_500_000), `/root/${run}`);
  },
  check: async ({ target, box, run }, failed) => {
    const found = await target.read(box, `/root/${run}`);
    if (!found) return failed ? [] : ["the upload has succeeded, and there is no file"];
    return Buffer.compare(found, pattern(2_500_000)) === 0 ? [] : ["the file is not what was sent"];
  },
};

const download: Workload = {
  name: "download",
  extent: { upBytes: UP, downBytes: 1_600_000, aims: ["/download"] },
  run: async (context) => {
    const { target, run, random } = context;
    const bytes = pattern(fileBytes(context));
    await target.put(context.box, `/root/${run}`, bytes);
    const box = await boxOf(context);
    const file = await box.download(`/root/${run}`);
    expectThat(`the size is said to be ${file.size}`, file.size === null || file.size === bytes.byteLength);
    const chunks: Uint8Array[] = [];
    if (random.chance(0.5)) chunks.push(await file.bytes());
    else for await (const chunk of file.stream()) chunks.push(chunk);
    const got = concatBytes(chunks);
    expectThat(`${got.byteLength} bytes came, and are not the file`, Buffer.compare(got, bytes) === 0);
  },
};

const boxes: Workload = {
  name: "create, list, stop, start, remove",
  extent: { upBytes: UP, downBytes: 8000, aims: ["POST /v1/boxes$", ":stop", ":start", "DELETE"] },
  run: async ({ client, target, run }) => {
    const box = await client.create(target.image, { name: run, memoryMb: 256 });
    const listed = await client.listBoxes({ status: "running" });
    expectThat(
      "the new box is not listed",
      listed.some(({ id, name }) => id === box.id && name === run),
    );
    expectThat("it is not stopped", (await box.stop()).status === "stopped");
    await box.start();
    expectThat("it does not run", (await client.getBox(run)).info.status === "running");
    await box.remove({ force: true });
    const gone = await client.getBox(run).catch((error) => error);
    if (!isBoxRunError(gone)) throw new Wrong("the box is there after it was removed");
    if (gone.code !== "BOX_NOT_FOUND") throw gone;
  },
  check: leftovers,
};

const run: Workload = {
  name: "run",
  inOwnBox: true,
  extent: { upBytes: UP, downBytes: DOWN, aims: COMMAND },
  run: async (context) => {
    const { client, target, random, run: name } = context;
    const [count, code, marker] = [lineCount(context), random.between(0, 255), newMarker(context)];
    const command = target.commands.lines(marker, count, code);
    const result = await client.run(target.image, command, { name, memoryMb: 256 });
    expectLines(result.stdout, "out", marker, count);
    expectThat(`exit code ${result.exitCode}, not ${code}`, result.exitCode === code);
  },
  check: leftovers,
};

/** One box of a run that has failed may be there: its caller was told, and knows its name. None that it was not told of. */
async function leftovers({ target, run: name }: Context, failed: boolean): Promise<string[]> {
  const own = (await target.boxes()).filter((box) => box.name === name);
  for (const { id } of own) await target.removeBox(id);
  if (own.length <= (failed ? 1 : 0)) return [];
  return [`${own.length} boxes are left`];
}

const abort: Workload = {
  name: "exec, aborted",
  mayNotStart: true,
  extent: { upBytes: UP, downBytes: 3000, aims: COMMAND },
  run: async (context) => {
    const { target, random } = context;
    const marker = newMarker(context);
    const box = await boxOf(context);
    const reason = new Error("enough");
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(reason), random.size(300));
    try {
      await box.exec(target.commands.sleep(marker, 600), { signal: controller.signal });
      throw new Wrong("a command that sleeps has ended well");
    } catch (error) {
      if (error !== reason) throw error;
    } finally {
      clearTimeout(timer);
    }
  },
};

const timeLimit: Workload = {
  name: "exec, out of time",
  // Its time may be over before its shell has written down that it runs.
  mayNotStart: true,
  extent: { upBytes: UP, downBytes: 3000, aims: COMMAND },
  run: async (context) => {
    const { target, random } = context;
    const marker = newMarker(context);
    const box = await boxOf(context);
    const timeoutMs = random.between(1, 200);
    try {
      await box.exec(target.commands.sleep(marker, 600), { timeoutMs });
    } catch (error) {
      if (isBoxRunError(error) && error.code === "TIMEOUT") return;
      throw error;
    }
    throw new Wrong("a command that sleeps has ended well");
  },
};

const attach: Workload = {
  name: "attach",
  extent: { upBytes: UP, downBytes: 200_000, aims: ["/attach"] },
  cannot: ({ hasTerminals }) => (hasTerminals ? undefined : "this server has no terminals"),
  run: async (context) => {
    const code = context.random.between(0, 255);
    const marker = newMarker(context);
    const count = lineCount(context);
    const box = await boxOf(context);
    const terminal = await box.attach();
    const [text, exited, typed] = await Promise.allSettled([
      textOf(terminal),
      terminal.exited,
      type(terminal, `print ${marker} ${count}\nexit ${code}\n`),
    ]);
    for (const each of [exited, text, typed]) if (each.status === "rejected") throw each.reason;
    expectThat(`the exit code is not ${code}`, exited.status === "fulfilled" && exited.value === code);
    const lines = linesOf("out", marker, count).replaceAll("\n", "\r\n");
    expectThat("output is missing", text.status === "fulfilled" && text.value.includes(lines));
  },
};

async function textOf({ readable }: Terminal): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readable) chunks.push(chunk);
  return new TextDecoder().decode(concatBytes(chunks));
}

async function type(terminal: Terminal, text: string): Promise<void> {
  const writer = terminal.writable.getWriter();
  for (const part of text.split(/(?<=\n)/)) await writer.write(part);
}

export const WORKLOADS: readonly Workload[] = [
  exec,
  execStream,
  wait,
  stdin,
  upload,
  uploadInPieces,
  download,
  boxes,
  run,
  abort,
  timeLimit,
  attach,
];
