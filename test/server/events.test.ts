import { beforeEach, describe, expect, it } from "vitest";
import type { BackendEvent } from "../../src/backend/backend.js";
import { createHandler } from "../../src/server/handler.js";
import { ScriptedBackend } from "./scripted-backend.js";

let backend: ScriptedBackend;
let path: string;
beforeEach(async () => {
  backend = new ScriptedBackend();
  const { id } = await backend.createBox({ image: "tiny" } as never);
  const exec = await backend.startExec(id, { cmd: ["x"] } as never);
  path = `http://box.test/v1/boxes/${id}/exec/${exec.id}/events`;
});

const utf8 = new TextEncoder();
const out = (bytes: Uint8Array | string, seq: number): BackendEvent => ({
  type: "log",
  stream: "stdout",
  bytes: typeof bytes === "string" ? utf8.encode(bytes) : bytes,
  seq,
});

async function events(query = "") {
  const response = await createHandler(backend)(path + query);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  return response.text();
}

/** The documented form, read by hand. */
function parse(text: string) {
  return text
    .split("\n\n")
    .filter(Boolean)
    .map((block) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
      return { event: field("event"), id: field("id"), data: JSON.parse(field("data")!) };
    });
}

describe("event streams", () => {
  it("have the documented form", async () => {
    expect(await events()).toBe(
      'event: log\nid: 1\ndata: {"stream":"stdout","data":"hello\\n","seq":1}\n\n' +
        'event: exit\nid: 2\ndata: {"stream":null,"data":"{\\"exit_code\\":0}","seq":2}\n\n',
    );
  });

  it("say no code for a command that was canceled", async () => {
    backend.script = [{ type: "exit", exitCode: null, seq: 1 }];
    expect(parse(await events())[0]!.data.data).toBe('{"exit_code":null}');
  });

  const cut = utf8.encode("a€b");
  it("complete characters that are cut at a chunk's edge", async () => {
    backend.script = [
      out(cut.slice(0, 2), 1),
      { type: "log", stream: "stderr", bytes: utf8.encode("!"), seq: 2 },
      out(cut.slice(2), 3),
      { type: "exit", exitCode: 0, seq: 4 },
    ];
    const whole = parse(await events());
    expect(whole.map(({ data }) => data.data)).toEqual(["a", "!", "€b", '{"exit_code":0}']);
    expect(parse(await events("?after=1")).map(({ data }) => data.data)).toEqual([
      "!",
      "€b",
      '{"exit_code":0}',
    ]);
  });

  it("show what is left of a character at the end, and never twice", async () => {
    backend.script = [out(cut.slice(0, 3), 1), { type: "exit", exitCode: 0, seq: 2 }];
    const all = parse(await events());
    expect(all.map(({ data }) => [data.seq, data.data])).toEqual([
      [1, "a"],
      [2, "\ufffd"],
      [3, '{"exit_code":0}'],
    ]);
    expect(parse(await events("?after=2")).map(({ data }) => data.seq)).toEqual([3]);
  });

  it("carry exact bytes for who asks, and only where text would lose them", async () => {
    backend.script = [out(cut.slice(0, 2), 1), out("plain", 2), { type: "exit", exitCode: 0, seq: 3 }];
    const [first, second] = parse(await events("?bytes=1"));
    expect([...atob(first!.data.b64)].map((char) => char.charCodeAt(0))).toEqual([...cut.slice(0, 2)]);
    expect(second!.data).toEqual({ stream: "stdout", data: "plain", seq: 2 });
  });

  it("come as they happen, at the reader's pace, and end without ending the command when it leaves", async () => {
    backend.script = Array.from({ length: 100 }, (_, i) => out(`${i}`, i + 1));
    let reached = 0;
    backend.beforeEvent = async (seq) => {
      reached = seq;
    };
    const response = await createHandler(backend)(path);
    const reader = response.body!.getReader();
    await reader.read();
    expect(reached).toBeLessThan(5);
    await reader.cancel();
    expect(backend.readersLeft).toBe(1);
    expect([...backend.execs.values()][0]!.status).toBe("running");
  });

  it("have a comment in a long silence", async () => {
    let release = () => {};
    backend.beforeEvent = (seq) =>
      seq === 2
        ? new Promise((resolve) => {
            release = resolve;
          })
        : Promise.resolve();
    const response = await createHandler(backend, { keepAliveMs: 1 })(path);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toContain("hello");
    expect((await reader.read()).value).toBe(": keep-alive\n\n");
    release();
    let text = "";
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
    expect(text).toContain("event: exit");
  });

  it("are refused before they begin when there is no such command, or the cursor makes no sense", async () => {
    const missing = await createHandler(backend)(path.replace(/exec_0/, "exec_1"));
    expect(missing.status).toBe(404);
    expect(await missing.json()).toMatchObject({ code: "EXEC_NOT_FOUND" });
    expect((await createHandler(backend)(`${path}?after=x`)).status).toBe(400);
  });
});
