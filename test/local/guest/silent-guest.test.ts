import { afterEach, expect, it, vi } from "vitest";
import type { LocalBackend } from "../../../src/local/boxes/local-backend.js";
import { runningBox } from "../fake-machine.js";

const TERMINAL = { shell: null, cols: 80, rows: 24, term: "xterm" };
/** Above every clock, but that for putting gigabytes in their place. */
const LONG_MS = 200_000;

afterEach(() => vi.useRealTimers());

const body = (text: string) => new Blob([text]).stream();
const stat = (path: string) =>
  ({ op: "stat", path: new TextEncoder().encode(path), followLinks: true }) as const;

const asked: [string, (backend: LocalBackend, id: string) => Promise<unknown>, RegExp][] = [
  ["a terminal", (backend, id) => backend.attach(id, TERMINAL, {}), /did not start a terminal/],
  [
    "a download",
    (backend, id) => backend.download(id, "/f", {}),
    /download of \/f: the guest does not answer/,
  ],
  [
    "an upload",
    (backend, id) => backend.upload(id, "/f", body("x"), { mode: 0o644 }),
    /upload to \/f: the guest does not answer/,
  ],
  ["a file's state", (backend, id) => backend.fileOperation(id, stat("/f"), {}), /does not answer/],
];

it.each(asked)("%s that the guest says nothing to is given up", async (_what, ask, message) => {
  const { backend, id } = await runningBox();
  vi.useFakeTimers();
  const given = expect(ask(backend, id)).rejects.toMatchObject({
    code: "RUNTIME_ERROR",
    message: expect.stringMatching(message),
  });
  await vi.advanceTimersByTimeAsync(LONG_MS);
  await given;
});

it("an upload whose last word the guest does not say is given up, and one whose source is slow is not", async () => {
  const { backend, id, machine } = await runningBox();
  vi.useFakeTimers();
  let source!: ReadableStreamDefaultController<Uint8Array>;
  const slow = new ReadableStream<Uint8Array>({
    start: (controller) => {
      source = controller;
    },
  });
  const putting = machine.next("put");
  const upload = backend.upload(id, "/f", slow, { mode: 0o644 });
  let ended = false;
  const given = expect(
    upload.finally(() => {
      ended = true;
    }),
  ).rejects.toMatchObject({ code: "RUNTIME_ERROR" });
  await vi.advanceTimersByTimeAsync(0);
  const { stream } = await putting;
  machine.send({ type: "credit", stream, bytes: 1000 });
  await vi.advanceTimersByTimeAsync(LONG_MS);
  source.enqueue(new Uint8Array(10));
  await vi.advanceTimersByTimeAsync(LONG_MS);
  expect(ended).toBe(false);
  source.close();
  await vi.advanceTimersByTimeAsync(10 * LONG_MS);
  await given;
});

it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])(
  "a terminal that is closed while it is written to, %d turns later, sends nothing after its end",
  async (turns) => {
    const { backend, id, machine } = await runningBox();
    const opening = machine.next("terminal");
    const attaching = backend.attach(id, TERMINAL, {});
    const { stream } = await opening;
    machine.send({ type: "started", stream, pid: 7 }, { type: "credit", stream, bytes: 1000 });
    const terminal = await attaching;
    const writer = terminal.writable.getWriter();
    void writer.write("typed").catch(() => {});
    for (let i = 0; i < turns; i++) await null;
    const ended = machine.next("eof");
    void terminal.close();
    await ended;
    machine.send({ type: "exit", stream, how: "signaled", value: 1 });
    await terminal.exited;
    const sent = machine.frames.flatMap(({ type }) => (type === "data" || type === "eof" ? [type] : []));
    expect(sent.at(-1)).toBe("eof");
    expect(sent.filter((type) => type === "eof")).toHaveLength(1);
  },
);
