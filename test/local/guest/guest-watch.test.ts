import { describe, expect, it } from "vitest";
import { CHANGES, type GuestFrame, MAX_PATH } from "../../../src/local/protocol/frame-types.js";
import { failure } from "../../../src/testing/contract/tools.js";
import { bootFake, type FakeMachine, fakeBackend, SPEC } from "../fake-machine.js";

const encoder = new TextEncoder();
const ENOSPC = 28;

/** A box whose guest is the test, and a watch of /srv that it has been asked for. */
async function watched(recursive = false) {
  let machine!: FakeMachine;
  const backend = fakeBackend((made) => {
    machine = made;
    void bootFake(made);
  });
  const { id } = await backend.createBox(SPEC, {});
  const came = machine.next("watch");
  const controller = new AbortController();
  const { signal } = controller;
  const opening = backend.watchFiles(id, encoder.encode("/srv/"), { recursive, signal });
  opening.catch(() => {});
  const { stream } = await came;
  return { backend, id, machine, stream, opening, controller };
}

async function started() {
  const watch = await watched();
  const { machine, stream } = watch;
  machine.send({ type: "started", stream, pid: 0 });
  return { ...watch, changes: (await watch.opening)[Symbol.asyncIterator]() };
}

function str(text: string, length = encoder.encode(text).byteLength): number[] {
  return [...new Uint8Array(Uint32Array.of(length).buffer), ...encoder.encode(text)];
}

const data = (stream: number, ...bytes: number[]): GuestFrame => ({
  type: "data",
  stream,
  channel: "file",
  data: Uint8Array.from(bytes),
});

describe("a watch in a guest", () => {
  it("passes on what the guest tells, and ends with what is watched", async () => {
    const { machine, stream, changes } = await started();
    machine.send(
      data(stream, CHANGES.created, ...str("/srv/a"), CHANGES.renamed, ...str("/srv/b/c"), ...str("/srv/a")),
      data(stream, CHANGES.overflow, ...str("/srv"), CHANGES.removed, ...str("/srv")),
      { type: "done", stream, bytes: 99 },
    );
    const seen: unknown[] = [];
    for (let next = await changes.next(); !next.done; next = await changes.next()) seen.push(next.value);
    const path = (text: string) => encoder.encode(text);
    expect(seen).toEqual([
      { type: "created", path: path("/srv/a") },
      { type: "renamed", path: path("/srv/b/c"), from: path("/srv/a") },
      { type: "overflow", path: path("/srv") },
      { type: "removed", path: path("/srv") },
    ]);
  });

  it.each<[string, (stream: number) => GuestFrame[]]>([
    ["changes elsewhere", (stream) => [data(stream, CHANGES.created, ...str("/etc/passwd"))]],
    ["changes next to it", (stream) => [data(stream, CHANGES.created, ...str("/srv2"))]],
    [
      "a name before that is elsewhere",
      (stream) => [data(stream, CHANGES.renamed, ...str("/srv/a"), ...str("/b"))],
    ],
    ["a change that does not exist", (stream) => [data(stream, 6, ...str("/srv/a"))]],
    ["an empty path", (stream) => [data(stream, CHANGES.created, ...str(""))]],
    ["a path with a zero", (stream) => [data(stream, CHANGES.created, ...str("/srv/\0"))]],
    [
      "a path that is too long",
      (stream) => [data(stream, CHANGES.created, ...str(`/srv/${"p".repeat(MAX_PATH)}`))],
    ],
    ["half a change", (stream) => [data(stream, CHANGES.created, ...str("/srv/a", 99))]],
    ["a second start", (stream) => [{ type: "started", stream, pid: 0 }]],
    [
      "a path in a volume",
      (stream) => [{ type: "volume", stream, path: encoder.encode("/0"), second: new Uint8Array() }],
    ],
    ["the exit of a command", (stream) => [{ type: "exit", stream, how: "exited", value: 0 }]],
  ])("takes no nonsense: %s", async (_name, frames) => {
    const { backend, id, machine, stream, changes } = await started();
    const end = failure(changes.next());
    machine.send(...frames(stream));
    expect(await end).toMatchObject({ code: "PROTOCOL_ERROR" });
    expect((await backend.getBox(id)).status).toBe("error");
  });

  it("takes no change before it has begun", async () => {
    const { machine, stream, opening } = await watched();
    machine.send(data(stream, CHANGES.created, ...str("/srv/a")));
    expect(await failure(opening)).toMatchObject({ code: "PROTOCOL_ERROR" });
  });

  it("says that there are too many directories, first or later", async () => {
    const { machine, stream, opening } = await watched(true);
    const fail: GuestFrame = { type: "fail", stream, stage: 6, errno: ENOSPC, detail: "/srv" };
    machine.send(fail);
    expect(await failure(opening)).toMatchObject({ code: "RUNTIME_ERROR", cause: { code: "ENOSPC" } });
    const later = await started();
    later.machine.send({ ...fail, stream: later.stream });
    expect(await failure(later.changes.next())).toMatchObject({
      code: "RUNTIME_ERROR",
      cause: { code: "ENOSPC" },
    });
  });

  it("ends in the guest when it is ended here", async () => {
    const first = await started();
    const aborted = first.machine.next("abort");
    first.controller.abort(new Error("enough"));
    expect((await aborted).stream).toBe(first.stream);
    expect((await failure(first.changes.next())).message).toBe("enough");
    const early = await watched();
    const gone = early.machine.next("abort");
    early.controller.abort(new Error("enough"));
    expect((await failure(early.opening)).message).toBe("enough");
    await gone;
    const returned = await started();
    const ended = returned.machine.next("abort");
    await returned.changes.return?.();
    await ended;
  });
});
