import { beforeEach, describe, expect, it } from "vitest";
import { createHandler } from "../../src/server/handler.js";
import { ScriptedBackend } from "./scripted-backend.js";

let backend: ScriptedBackend;
let box: string;
beforeEach(async () => {
  backend = new ScriptedBackend();
  box = (await backend.createBox({ image: "tiny" } as never)).id;
});

const url = () => `http://box.test/v1/boxes/${box}/files/upload`;
const BOUNDARY = "xyz";
const part = (name: string, value: string, filename?: string) =>
  `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"${filename === undefined ? "" : `; filename="${filename}"`}\r\n\r\n${value}\r\n`;
const END = `--${BOUNDARY}--\r\n`;

async function post(
  body: string | ReadableStream<Uint8Array>,
  { type = `multipart/form-data; boundary=${BOUNDARY}`, max = 2 ** 20 } = {},
) {
  const handler = createHandler(backend, { maxUploadBytes: max });
  const init = { method: "POST", headers: { "content-type": type }, body, duplex: "half" };
  const response = await handler(new Request(url(), init as RequestInit));
  return { status: response.status, json: (await response.json()) as { message: string } };
}

/** The same bytes, cut after the first `at`; with `always`, after every `at` of them. */
function cutAt(at: number, always = false) {
  return new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      const step = always ? at : chunk.byteLength;
      controller.enqueue(chunk.slice(0, at));
      for (let from = at; from < chunk.byteLength; from += step)
        controller.enqueue(chunk.slice(from, from + step));
    },
  });
}

const stored = () =>
  Object.fromEntries([...backend.files].map(([path, { bytes }]) => [path, new TextDecoder().decode(bytes)]));

describe("an upload", () => {
  it("puts a file, whatever the order of the fields", async () => {
    expect(await post(part("dest", "/a") + part("file", "one", "f") + END)).toEqual({
      status: 200,
      json: { ok: true, dest: "/a" },
    });
    await post(part("file", "two", "f") + part("dest", "/b") + END);
    expect(stored()).toEqual({ "/a": "one", "/b": "two" });
  });

  it("comes from a browser's form, too, with a mode", async () => {
    const form = new FormData();
    form.append("mode", "755");
    form.append("file", new Blob([new Uint8Array([0, 255, 13, 10, 45, 45])]), 'we"ird.bin');
    form.append("dest", "/größe");
    const response = await createHandler(backend)(new Request(url(), { method: "POST", body: form }));
    expect(response.status).toBe(200);
    expect(backend.files.get("/größe")).toEqual({
      bytes: new Uint8Array([0, 255, 13, 10, 45, 45]),
      mode: 0o755,
    });
  });

  it("comes with no mode, or one for a new file alone, so that one that is there keeps its own", async () => {
    await post(part("new_mode", "750") + part("dest", "/new") + part("file", "x", "f") + END);
    await post(part("dest", "/plain") + part("file", "x", "f") + END);
    expect(backend.uploads).toEqual([{ newMode: 0o750 }, {}]);
    expect(
      await post(part("new_mode", "x") + part("dest", "/a") + part("file", "x", "f") + END),
    ).toMatchObject({
      status: 400,
      json: { message: expect.stringMatching(/new_mode/) },
    });
    expect(
      await post(part("dest", "/a") + part("file", "x", "f") + part("new_mode", "755") + END),
    ).toMatchObject({ status: 400, json: { message: expect.stringMatching(/new_mode must come before/) } });
  });

  it("comes through wherever the network cuts it", async () => {
    const value = "one\r\n--two\r\n\r\n--xy";
    const form = `${part("mode", "600")}${part("dest", "/a")}${part("file", value, "f")}${END}`;
    const bytes = new TextEncoder().encode(form);
    for (let at = 1; at < bytes.byteLength; at++) {
      const cut = await post(new Blob([bytes]).stream().pipeThrough(cutAt(at)));
      expect(cut, `cut at ${at}`).toMatchObject({ status: 200 });
      expect(stored(), `cut at ${at}`).toEqual({ "/a": value });
    }
    expect(await post(new Blob([bytes]).stream().pipeThrough(cutAt(1, true)))).toMatchObject({ status: 200 });
    expect(stored()).toEqual({ "/a": value });
  });

  it.each([part("file", "two", "f"), part("file", "two", "f").slice(0, 20)])(
    "ends where its form ends, whatever follows: %j",
    async (more) => {
      const form = part("dest", "/a") + part("file", "one", "f") + END.slice(0, -1) + more;
      expect(await post(form)).toMatchObject({ status: 200 });
      expect(stored()).toEqual({ "/a": "one" });
    },
  );

  it.each([
    [
      "a file name that cannot be decoded",
      `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename*=UTF-8''%zz\r\n\r\n`,
      /invalid headers/,
    ],
    ["no file", part("dest", "/a") + END, /file is missing/],
    ["no dest", part("file", "x", "f") + END, /dest is missing/],
    [
      "a path in place of dest",
      part("path", "/a") + part("file", "x", "f") + END,
      /dest is missing.*instead of path/,
    ],
    ["an empty dest", part("dest", "") + part("file", "x", "f") + END, /dest is missing/],
    [
      "two files",
      part("dest", "/a") + part("file", "x", "f") + part("file", "y", "f") + END,
      /appears twice/,
    ],
    [
      "two destinations",
      part("dest", "/a") + part("dest", "/b") + part("file", "x", "f") + END,
      /appears twice/,
    ],
    ["a mode that is none", part("dest", "/a") + part("mode", "rwx") + part("file", "x", "f") + END, /mode/],
    [
      "a mode that comes too late",
      part("dest", "/a") + part("file", "x", "f") + part("mode", "755") + END,
      /mode must come before/,
    ],
    ["no end", part("dest", "/a") + part("file", "x", "f"), /incomplete/],
    [
      "an end in the file",
      `${part("dest", "/a")}--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"\r\n\r\nhalf`,
      /incomplete/,
    ],
    ["no form at all", "hello", /./],
    ["an empty body", "", /./],
  ])("with %s leaves nothing", async (_, body, message) => {
    const { status, json } = await post(body);
    expect(status).toBe(400);
    expect(json).toMatchObject({ code: "VALIDATION_ERROR", message: expect.stringMatching(message) });
    expect(stored()).toEqual({});
  });

  it("takes swapped fields for what they are: a destination in a file, a file in a text", async () => {
    await post(part("dest", "/a", "name") + part("file", "text") + END);
    expect(stored()).toEqual({ "/a": "text" });
  });

  it("of another type is refused", async () => {
    expect((await post("{}", { type: "application/json" })).status).toBe(415);
    expect((await post("x", { type: "multipart/form-data" })).status).toBe(400);
  });

  it("that is too large is refused, with its length said or not", async () => {
    const body = part("dest", "/a") + part("file", "x".repeat(200_000), "f") + END;
    expect(await post(body, { max: 1000 })).toMatchObject({
      status: 413,
      json: { code: "VALIDATION_ERROR" },
    });
    const streamed = new Blob([body]).stream();
    expect(await post(streamed, { max: 100_000 })).toMatchObject({ status: 413 });
    expect(stored()).toEqual({});
  });

  it("whose file comes long before its destination is refused", async () => {
    const large = "x".repeat(9 * 2 ** 20);
    const { status, json } = await post(
      new Blob([part("file", large, "f"), part("dest", "/a"), END]).stream(),
      {
        max: 2 ** 30,
      },
    );
    expect(status).toBe(400);
    expect(json.message).toMatch(/dest must come before/);
  });

  it("whose file comes long before its destination is refused, however few its bytes are, when each is a piece", async () => {
    const start = new TextEncoder().encode(part("file", "", "f").slice(0, -2));
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(sent++ === 0 ? start : Uint8Array.of(120)),
    });
    expect(await post(body)).toMatchObject({ status: 400, json: { message: /dest must come before/ } });
    expect(sent).toBeLessThan(1_000_000);
  });

  it("whose client goes away leaves nothing", async () => {
    const reason = new Error("gone");
    let pulls = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (pulls++ > 3) return controller.error(reason);
        const text =
          pulls === 1
            ? `${part("dest", "/a")}--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"\r\n\r\n`
            : "data";
        controller.enqueue(new TextEncoder().encode(text));
      },
    });
    expect((await post(body)).status).toBeGreaterThanOrEqual(400);
    expect(stored()).toEqual({});
  });
});

describe("a download", () => {
  it("has the file's size, a safe name and no type to be taken for a page", async () => {
    backend.files.set('/a"b\n größe', { bytes: new Uint8Array([1, 2, 3]), mode: 0o644 });
    const response = await createHandler(backend)(
      new Request(url().replace("upload", "download"), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ path: '/a"b\n größe' }),
      }),
    );
    expect(response.headers.get("content-length")).toBe("3");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("content-disposition")).toBe(
      "attachment; filename=\"a_b_ gr__e\"; filename*=UTF-8''a%22b%0A%20gr%C3%B6%C3%9Fe",
    );
    expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([1, 2, 3]);
  });
});
