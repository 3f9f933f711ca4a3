import { describe, expect, it, onTestFinished } from "vitest";
import type { FileEvent } from "../../src/files/file-types.js";
import { type BoxHandle, BoxRunClient } from "../../src/index.js";
import { serve } from "../../src/server/node/serve.js";
import { createHandler } from "../../src/server.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";
import { BOX, json, OURS, serve as serveAs, sse } from "../remote/servers.js";

const WATCHING = { ...OURS, capabilities: [...OURS.capabilities, "watch"] };

/** Boxes of a fake backend, used by itself and over HTTP. */
async function boxOver(way: "backend" | "handler" | "server") {
  const backend = new FakeBackend();
  const clientOf = async () => {
    if (way === "backend") return new BoxRunClient({ backend });
    if (way === "handler")
      return new BoxRunClient({ baseUrl: "http://boxrun.internal", fetch: createHandler(backend) });
    const server = await serve(backend, { port: 0 });
    onTestFinished(() => server.close());
    return new BoxRunClient({ baseUrl: server.addresses[0]! });
  };
  const client = await clientOf();
  onTestFinished(() => client.close());
  return { backend, client, box: await client.create("fake") };
}

const shown = (event: FileEvent) =>
  event.type === "renamed" ? `renamed ${event.from} ${event.path}` : `${event.type} ${event.path}`;

async function take(box: BoxHandle, count: number, watch = box.files.watch("/srv", { recursive: true })) {
  const events: string[] = [];
  while (events.length < count) events.push(shown((await watch.next()).value as FileEvent));
  return events;
}

describe.each(["backend", "handler", "server"] as const)("a watch, over a %s", (way) => {
  it("reports what happens, in order", async () => {
    const { box, backend } = await boxOver(way);
    await box.files.mkdir("/srv");
    const watch = box.files.watch("/srv", { recursive: true });
    await watch.ready;
    await box.files.write("/srv/größe", "1");
    await box.files.write("/srv/größe", "2");
    await box.files.write("/elsewhere", "");
    await box.files.rename("/srv/größe", "/srv/b");
    await box.files.rename("/srv/b", "/c");
    await box.files.rename("/c", "/srv/d");
    await box.files.remove("/srv/d");
    expect(await take(box, 6, watch)).toEqual([
      "created /srv/größe",
      "changed /srv/größe",
      "renamed /srv/größe /srv/b",
      "removed /srv/b",
      "created /srv/d",
      "removed /srv/d",
    ]);
    expect(backend.openWatches).toBe(1);
    await watch.return();
    await expect.poll(() => backend.openWatches).toBe(0);
  });

  it("ends when what it watches is gone", async () => {
    const { box, backend } = await boxOver(way);
    await box.files.write("/file", "");
    const watch = box.files.watch("/file");
    await watch.ready;
    await box.files.remove("/file");
    expect((await watch.next()).value).toMatchObject({ type: "removed", path: "/file" });
    expect(await watch.next()).toEqual({ done: true, value: undefined });
    expect(backend.openWatches).toBe(0);
  });

  it("ends by its signal at once, and with its box", async () => {
    const { box, backend } = await boxOver(way);
    const controller = new AbortController();
    const watch = box.files.watch("/", { signal: controller.signal });
    await watch.ready;
    const next = failure(watch.next());
    controller.abort(new Error("enough"));
    expect((await next).message).toBe("enough");
    expect((await failure(box.files.watch("/", { signal: controller.signal }).ready)).message).toBe("enough");
    await expect.poll(() => backend.openWatches).toBe(0);
    const other = box.files.watch("/");
    await other.ready;
    const end = failure(other.next());
    await box.stop();
    expect(await end).toMatchObject({ code: "BOX_NOT_RUNNING" });
    await box.start();
    const last = box.files.watch("/");
    await last.ready;
    const removal = failure(last.next());
    await box.remove({ force: true });
    expect(await removal).toMatchObject({ code: "BOX_NOT_FOUND" });
  });

  it("ends before anybody asks for an event, and leaves nothing open", async () => {
    const { box, backend, client } = await boxOver(way);
    const watch = box.files.watch("/");
    await watch.ready;
    await watch.return();
    await expect.poll(() => backend.openWatches).toBe(0);
    const early = box.files.watch("/");
    await early.return();
    await early.ready;
    await expect.poll(() => backend.openWatches).toBe(0);
    await client.close();
  });

  it("ends by its loop, also for who awaits its next event", async () => {
    const { box, backend } = await boxOver(way);
    await using watch = box.files.watch("/");
    await watch.ready;
    await box.files.write("/file", "");
    for await (const { path } of watch) {
      expect(path).toBe("/file");
      break;
    }
    expect(await watch.next()).toEqual({ done: true, value: undefined });
    const other = box.files.watch("/");
    await other.ready;
    const next = other.next();
    await other.return();
    expect(await next).toEqual({ done: true, value: undefined });
    await expect.poll(() => backend.openWatches).toBe(0);
  });

  it("takes true or false, and nothing that looks like it", async () => {
    const { box } = await boxOver(way);
    const recursive = "yes" as never;
    const message = "recursive must be true or false, got string";
    for (const call of [
      box.files.watch("/", { recursive }).ready,
      box.files.mkdir("/a", { recursive }),
      box.files.remove("/a", { recursive }),
      box.files.copy("/a", "/b", { recursive }),
    ])
      expect(await failure(call)).toMatchObject({ code: "VALIDATION_ERROR", message });
  });

  it("says at its first event, too, why it cannot begin", async () => {
    const { box } = await boxOver(way);
    for (const next of [box.files.watch("/none").next(), box.files.watch("/none").ready])
      expect(await failure(next)).toMatchObject({ code: "RUNTIME_ERROR", cause: { code: "ENOENT" } });
  });
});

it.each(["backend", "handler"] as const)(
  "gives a slow reader one event for those that it has missed, over a %s",
  async (way) => {
    const { box } = await boxOver(way);
    await using watch = box.files.watch("/");
    await watch.ready;
    const files = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`/file-${i}`, ""]));
    for (let i = 0; i < 110; i++) await box.files.writeAll(files);
    const seen: string[] = [];
    while (!seen.includes("overflow")) seen.push(((await watch.next()).value as FileEvent).type);
    expect(seen.length).toBeLessThan(4000);
  },
);

describe("a watch on a server", () => {
  it("begins anew where its connection is cut, and says that it may have missed something", async () => {
    let connections = 0;
    const { backend } = await serveAs(WATCHING, (request, response) => {
      if (!request.path.endsWith("/files/watch")) return json(response, BOX);
      expect(JSON.parse(request.body)).toEqual({ path: "/srv", recursive: true });
      const stream = sse(response);
      stream.write(`: keep-alive\n\nevent: created\ndata: {"path":"/srv/${++connections}"}\n\n`, () => {
        if (connections < 3) stream.socket?.resetAndDestroy();
        else stream.end("event: end\ndata: {}\n\n");
      });
    });
    const path = new TextEncoder().encode("/srv");
    const seen: string[] = [];
    for await (const change of await backend.watchFiles!(BOX.id, path, { recursive: true }))
      seen.push(`${change.type} ${new TextDecoder().decode(change.path)}`);
    expect(seen).toEqual([
      "created /srv/1",
      "overflow /srv",
      "created /srv/2",
      "overflow /srv",
      "created /srv/3",
    ]);
  });

  it("gives up a server that never holds a connection", async () => {
    const { backend } = await serveAs(WATCHING, (request, response) => {
      if (!request.path.endsWith("/files/watch")) return json(response, BOX);
      sse(response).end();
    });
    const changes = await backend.watchFiles!(BOX.id, Uint8Array.of(47), { recursive: false });
    const all = async () => {
      for await (const { type } of changes) expect(type).toBe("overflow");
    };
    expect(await failure(all())).toMatchObject({ code: "STREAM_INTERRUPTED", retryable: true });
  });

  it.each([
    ['event: created\ndata: {"path":"relative"}', "PROTOCOL_ERROR"],
    ["event: created\ndata: no json", "PROTOCOL_ERROR"],
    ['event: renamed\ndata: {"path":"/a"}', "PROTOCOL_ERROR"],
    ['event: error\ndata: {"code":"BOX_NOT_RUNNING","message":"stopped"}', "BOX_NOT_RUNNING"],
    ["event: error\ndata: {}", "PROTOCOL_ERROR"],
  ])("takes no nonsense: %s", async (text, code) => {
    const { backend } = await serveAs(WATCHING, (request, response) => {
      if (!request.path.endsWith("/files/watch")) return json(response, BOX);
      sse(response).end(`event: newer\ndata: x\n\n${text}\n\n`);
    });
    const changes = await backend.watchFiles!(BOX.id, Uint8Array.of(47), { recursive: false });
    expect(await failure(changes[Symbol.asyncIterator]().next())).toMatchObject({ code });
  });

  it("is UNSUPPORTED where the server has none, and sends nothing", async () => {
    const { server, backend } = await serveAs(OURS, (_request, response) => json(response, BOX));
    const box = await new BoxRunClient({ backend }).getBox(BOX.id);
    const before = server.seen.length;
    expect(await failure(box.files.watch("/").ready)).toMatchObject({ code: "UNSUPPORTED" });
    expect(server.seen.length).toBe(before);
  });
});
