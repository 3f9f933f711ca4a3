import { describe, expect, it } from "vitest";
import { connectRemote } from "../../../src/remote/index.js";
import { failure, pattern, streamOf } from "../../../src/testing/contract/tools.js";
import { BOX, ENDED, EXEC, json, OURS, PLAIN, serve } from "../servers.js";

const bytesOf = (text: string) => new TextEncoder().encode(text);

describe("an upload", () => {
  it("is a form whose destination comes before its file", async () => {
    const { backend, server } = await serve(PLAIN, plainServer(0));
    await backend.upload(BOX.id, '/root/größe "a"\nb', streamOf(bytesOf("file\r\n--contents"), 4), {
      mode: 0o644,
    });
    const { headers, body, path } = server.seen.at(-1)!;
    expect(path).toBe(`/v1/boxes/${BOX.id}/files/upload`);
    const boundary = /^multipart\/form-data; boundary=([\w-]+)$/.exec(headers["content-type"]!)![1];
    expect(body.split(`--${boundary}`)).toEqual([
      "",
      '\r\ncontent-disposition: form-data; name="dest"\r\n\r\n/root/größe "a"\nb\r\n',
      '\r\ncontent-disposition: form-data; name="file"; filename="file"\r\n' +
        "content-type: application/octet-stream\r\n\r\nfile\r\n--contents\r\n",
      "--\r\n",
    ]);
  });

  it("tells our server the mode", async () => {
    const { backend, server } = await serve(OURS, (_request, response) => json(response, { ok: true }));
    await backend.upload(BOX.id, "/run", streamOf(bytesOf("x"), 1), { mode: 0o750 });
    expect(server.seen.at(-1)!.body).toMatch(/name="mode"\r\n\r\n750\r\n/);
  });

  it("is taken from its source at the server's pace", async () => {
    let pulled = 0;
    const source = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          pulled++;
          controller.enqueue(new Uint8Array(100_000));
        },
      },
      { highWaterMark: 0 },
    );
    // The server reads nothing: what fits into the buffers on the way is all that is taken.
    const { baseUrl } = await deafServer();
    const backend = await connectRemote({ baseUrl, timeouts: { silenceMs: 300 } });
    const error = await failure(backend.upload(BOX.id, "/x", source, { mode: 0o644 }));
    expect(error).toMatchObject({ code: "STREAM_INTERRUPTED", retryable: true });
    expect(pulled).toBeLessThan(200);
  });

  it("goes out in pieces whatever its source gives, so that a slow connection is no silence", async () => {
    const bytes = pattern(1_000_001);
    const pieces: Uint8Array[] = [];
    const backend = await connectRemote({
      baseUrl: "http://box",
      fetch: async (request) => {
        if (request.url.endsWith("/info")) return Response.json(OURS);
        for await (const piece of request.body!) pieces.push(piece);
        return Response.json({ ok: true });
      },
    });
    await backend.upload(BOX.id, "/x", streamOf(bytes, bytes.byteLength), { mode: 0o644 });
    expect(Math.max(...pieces.map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(65_536);
    expect(Buffer.concat(pieces).includes(Buffer.from(bytes))).toBe(true);
  });

  it("gives the source's own error, and no file", async () => {
    const { backend, server } = await serve(PLAIN, plainServer(0));
    const reason = new Error("the disk broke");
    let pulls = 0;
    const source = new ReadableStream<Uint8Array>({
      pull: (controller) => (++pulls > 2 ? controller.error(reason) : controller.enqueue(new Uint8Array(9))),
    });
    expect(await failure(backend.upload(BOX.id, "/x", source, { mode: 0o644 }))).toBe(reason);
    expect(server.seen.filter(({ path }) => path.endsWith("/upload"))).toHaveLength(0);
  });

  it("is not made for a path that is no file's", async () => {
    const { backend, server } = await serve(PLAIN, (_request, response) => json(response, { ok: true }));
    for (const path of ["", "x", "/x/", "/a\0b"]) {
      const upload = backend.upload(BOX.id, path, streamOf(bytesOf("x"), 1), { mode: 0o644 });
      expect(await failure(upload)).toMatchObject({ code: "VALIDATION_ERROR" });
    }
    expect(server.seen).toHaveLength(1);
  });

  it("goes to a plain server in pieces that it takes, and is put together by commands", async () => {
    const bytes = pattern(2_500_000);
    const uploads: { dest: string; size: number }[] = [];
    const scripts: string[][] = [];
    const { backend } = await serve(PLAIN, (request, response) => {
      if (request.path.endsWith("/upload")) {
        if (request.body.length > 2_000_000) return void response.writeHead(413).end();
        const dest = /name="dest"\r\n\r\n(.*)\r\n/.exec(request.body)![1]!;
        uploads.push({ dest, size: Number(request.headers["content-length"]) });
        return json(response, { ok: true });
      }
      if (request.method === "POST") scripts.push(JSON.parse(request.body).cmd);
      json(response, request.method === "POST" ? EXEC : { ...ENDED, status: "succeeded", exit_code: 0 });
    });
    await backend.upload(BOX.id, "/x", streamOf(bytes, 100_000), { mode: 0o644 });
    expect(uploads).toHaveLength(3);
    expect(new Set(uploads.map(({ dest }) => dest)).size).toBe(1);
    expect(uploads[0]!.dest).toMatch(/^\/\.boxrun-[\w-]+\/piece$/);
    expect(scripts).toHaveLength(6);
    expect(scripts.at(-1)!.slice(-3)).toEqual(["2500000", "644", "644"]);
  });

  it("sends a piece again that arrived damaged, and gives up when it always does", async () => {
    let damaged = 1;
    let asked = 0;
    const { backend, server } = await serve(PLAIN, (request, response) => {
      if (request.path.endsWith("/upload")) return json(response, { ok: true });
      if (request.method === "POST") return json(response, EXEC);
      // The first looks at what is there, the second makes a directory.
      const code = asked++ > 1 && asked - 3 < damaged ? 65 : 0;
      json(response, { ...ENDED, status: code ? "failed" : "succeeded", exit_code: code });
    });
    const send = () => backend.upload(BOX.id, "/x", streamOf(pattern(10), 10), { mode: 0o755 });
    await send();
    expect(server.seen.filter(({ path }) => path.endsWith("/upload"))).toHaveLength(2);
    [damaged, asked] = [Number.POSITIVE_INFINITY, 0];
    expect((await failure(send())).message).toMatch(/damaged 3 times/);
    // What was there of it is taken away.
    expect(server.seen.filter(({ method }) => method === "POST").at(-1)!.body).toContain("rm -f");
  });
});

describe("an upload over a plain server", () => {
  const dests = (server: { seen: { path: string; body: string }[] }) =>
    server.seen
      .filter(({ path }) => path.endsWith("/upload"))
      .map(({ body }) => /name="dest"\r\n\r\n(.*)\r\n/.exec(body)![1]!);

  it.each([
    ["beside what is there", 67, /^\/etc\/\.boxrun-[\w-]+\/piece$/],
    ["elsewhere, what can only be written in place", 68, /^\/tmp\/\.boxrun-[\w-]+\/piece$/],
    ["under its name, where nothing is there", 0, /^\/etc\/x$/],
    ["under its name, where the box has no shell", 127, /^\/etc\/x$/],
  ])("puts a file %s", async (_where, code, dest) => {
    const { backend, server } = await serve(PLAIN, plainServer(code));
    await backend.upload(BOX.id, "/etc/x", streamOf(bytesOf("x"), 1), {});
    expect(dests(server)).toEqual([expect.stringMatching(dest)]);
  });

  it("puts it under its name where the server refuses to start a shell", async () => {
    const { backend, server } = await serve(PLAIN, refusing(500, "Failed to start execution: not found"));
    await backend.upload(BOX.id, "/etc/x", streamOf(bytesOf("x"), 1), {});
    expect(dests(server)).toEqual(["/etc/x"]);
  });

  it.each([
    [500, "the database is locked"],
    [502, "bad gateway"],
  ])("sends nothing where the command fails with status %i for another reason", async (status, message) => {
    const { backend, server } = await serve(PLAIN, refusing(status, message));
    const error = await failure(backend.upload(BOX.id, "/etc/x", streamOf(bytesOf("x"), 1), {}));
    expect(error.message).toContain(message);
    expect(dests(server)).toEqual([]);
  });

  it.each([
    ["of a mode of its own", 1, { mode: 0o755 }],
    ["of more than one piece", 1_000_000, {}],
  ])(
    "refuses a file %s for a box without a shell, before it sends any of it",
    async (_what, size, options) => {
      const { backend, server } = await serve(PLAIN, plainServer(127));
      const error = await failure(backend.upload(BOX.id, "/etc/x", streamOf(pattern(size), size), options));
      expect(error).toMatchObject({ code: "UNSUPPORTED" });
      expect(error.message).toMatch(/no shell/);
      expect(dests(server)).toEqual([]);
      expect(server.seen.filter(({ method }) => method === "POST")).toHaveLength(1);
    },
  );

  it.each([
    [70, "EISDIR"],
    [71, "EINVAL"],
    [72, "ELOOP"],
  ])("sends nothing where the box says %i", async (code, errno) => {
    const { backend, server } = await serve(PLAIN, plainServer(code));
    const error = await failure(backend.upload(BOX.id, "/etc/x", streamOf(bytesOf("x"), 1), {}));
    expect(error).toMatchObject({ code: "RUNTIME_ERROR", cause: { code: errno } });
    expect(dests(server)).toEqual([]);
  });
});

/** A plain server that answers every command with this status. */
function refusing(status: number, message: string): Parameters<typeof serve>[1] {
  return (request, response) => {
    if (request.path.endsWith("/upload")) return json(response, { ok: true });
    if (request.method === "POST") return json(response, { code: "RUNTIME_ERROR", message }, status);
    json(response, BOX);
  };
}

/** A plain server whose first command ends with this code, and every other with 0. */
function plainServer(firstCode: number): Parameters<typeof serve>[1] {
  let codes = [firstCode];
  return (request, response) => {
    if (request.path.endsWith("/upload")) return json(response, { ok: true });
    if (request.method === "POST") return json(response, EXEC);
    const [code = 0, ...rest] = codes;
    codes = rest;
    json(response, { ...ENDED, status: code ? "failed" : "succeeded", exit_code: code });
  };
}

describe("a download", () => {
  it("streams, and knows its size", async () => {
    const bytes = pattern(500_000);
    const { backend, server } = await serve(PLAIN, (_request, response) => {
      response.writeHead(200, { "content-length": bytes.byteLength });
      response.end(bytes);
    });
    const { size, stream } = await backend.download(BOX.id, "/root/x", {});
    expect(size).toBe(500_000);
    expect(new Uint8Array(await new Response(stream).arrayBuffer())).toEqual(bytes);
    expect(server.seen.at(-1)!.body).toBe('{"path":"/root/x"}');
  });

  it("is an error when it breaks off, or falls silent", async () => {
    const broken = [
      [() => {}, /no data arrived for 60 ms/],
      [(socket: { resetAndDestroy(): void }) => socket.resetAndDestroy(), /lost/],
    ] as const;
    for (const [end, message] of broken) {
      const { backend } = await serve(
        PLAIN,
        (_request, response) => {
          response.writeHead(200, { "content-length": 100 });
          response.write("half", () => end(response.socket!));
        },
        { timeouts: { silenceMs: 60 } },
      );
      const { stream } = await backend.download(BOX.id, "/x", {});
      const error = await failure(new Response(stream).arrayBuffer());
      expect(error).toMatchObject({ code: "STREAM_INTERRUPTED", retryable: true });
      expect(error.message).toMatch(message);
    }
  });

  it("is an error when it is shorter than was said, where the transport does not mind", async () => {
    const backend = await connectRemote({
      baseUrl: "http://box",
      fetch: async (request) =>
        request.url.endsWith("/info")
          ? Response.json(PLAIN)
          : new Response("half", { headers: { "content-length": "100" } }),
    });
    const { stream } = await backend.download(BOX.id, "/x", {});
    const error = await failure(new Response(stream).arrayBuffer());
    expect(error.message).toContain("4 of 100 bytes");
  });
});

/** Says what it is, and then reads nothing more. */
async function deafServer(): Promise<{ baseUrl: string }> {
  const { createServer } = await import("node:http");
  const { onTestFinished } = await import("vitest");
  const server = createServer((request, response) => {
    if (request.url === "/v1/info") json(response, OURS);
    else request.pause();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { baseUrl: `http://127.0.0.1:${(server.address() as { port: number }).port}` };
}
