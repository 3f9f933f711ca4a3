import { BoxRunClient } from "boxrun";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { startServe } from "../testing/contract/serve.js";
import { startProcess } from "./launch.js";
import { deno, workerd } from "./runtimes.mjs";
import { startWorker } from "./workerd.js";

/** A script of an example ends by itself after a minute: then the box would be gone anyway. */
const BEFORE_ITS_END_MS = 50_000;
const TOKEN = "secret-of-the-tests";

interface Edge {
  url: string | URL;
  stop(): Promise<void>;
}

let server: Awaited<ReturnType<typeof startServe>>;
let client: BoxRunClient;

beforeAll(async () => {
  server = await startServe("--token", TOKEN);
  client = new BoxRunClient({ backend: "remote", baseUrl: server.baseUrl, token: TOKEN });
});
afterAll(async () => {
  await client.close();
  await server.stop();
});

/** As `deno serve` runs it, allowed nothing but its server and its two variables. */
async function startDeno(token: string): Promise<Edge> {
  const args = ["--no-remote", "--no-prompt", "--allow-net=127.0.0.1", "--allow-env=BOXRUN_URL,BOXRUN_TOKEN"];
  let onOutput: (text: string) => void = () => {};
  const listening = new Promise<string>((resolve) => {
    onOutput = (text) => {
      const url = /Listening on (http:\S+)/.exec(text)?.[1];
      if (url) resolve(url);
    };
  });
  const running = startProcess(
    deno.path,
    ["serve", "--host", "127.0.0.1", "--port", "0", ...args, "deno-function.js"],
    {
      cwd: inject("project"),
      env: { BOXRUN_URL: server.baseUrl, BOXRUN_TOKEN: token, NO_COLOR: "1" },
      onOutput: (text) => onOutput(text),
    },
  );
  const ended = running.ended.then((how) => Promise.reject(new Error(`deno ended ${how}`)));
  const url = await Promise.race([listening, ended]);
  ended.catch(() => {});
  return { url, stop: running.stop };
}

const startCloudflare = (token: string): Promise<Edge> =>
  startWorker(inject("project"), "cloudflare-worker.js", { BOXRUN_URL: server.baseUrl, BOXRUN_TOKEN: token });

describe.each([
  { example: "the Cloudflare Worker", runtime: workerd, start: startCloudflare },
  { example: "the Deno function", runtime: deno, start: startDeno },
])("$example of demo/edge", ({ runtime, start }) => {
  if (runtime.missing !== undefined) return it.skip(runtime.missing);
  let edge: Edge | undefined;
  const post = (body: string, signal?: AbortSignal) =>
    fetch(edge!.url, { method: "POST", body, ...(signal && { signal }) });

  beforeAll(async () => {
    edge = await start(TOKEN);
  });
  afterAll(() => edge?.stop());

  it("streams what a script prints while it runs, tells how it ended, and removes the box", async () => {
    const response = await post("echo one; until [ -e /tmp/go ]; do sleep 0.05; done; echo two >&2; exit 3");
    expect(response.status).toBe(200);
    const lines = linesOf(response);
    expect((await lines.next()).value).toEqual({ stdout: "one\n" });
    const [box] = await client.listBoxes();
    await (await client.getBox(box!.id)).files.write("/tmp/go", "");
    expect((await lines.next()).value).toEqual({ stderr: "two\n" });
    expect((await lines.next()).value).toEqual({ exitCode: 3 });
    expect((await lines.next()).done).toBe(true);
    await noBoxes();
  });

  it.each(["echo up; sleep 7301", "sleep 7302"])(
    "removes the box when the reader leaves: %s",
    async (script) => {
      const controller = new AbortController();
      const response = await post(script, controller.signal);
      if (script.startsWith("echo")) await linesOf(response).next();
      expect(await client.listBoxes()).toHaveLength(1);
      controller.abort();
      await noBoxes();
    },
    BEFORE_ITS_END_MS,
  );

  it("answers many at once, each with its own output", async () => {
    const answers = await Promise.all(
      [1, 2, 3].map(async (i) => {
        const all: object[] = [];
        for await (const line of linesOf(await post(`echo ${i}`))) all.push(line);
        return all;
      }),
    );
    expect(answers).toEqual([1, 2, 3].map((i) => [{ stdout: `${i}\n` }, { exitCode: 0 }]));
    await noBoxes();
  });

  it("says why there is no box, and nothing of the token", async () => {
    const refused = await start("wrong-token-of-the-tests");
    try {
      const response = await fetch(refused.url, { method: "POST", body: "echo one" });
      expect(response.status).toBe(500);
      const text = await response.text();
      expect(text).toMatch(/401|token/);
      expect(text).not.toContain("wrong-token-of-the-tests");
    } finally {
      await refused.stop();
    }
  });
});

describe("boxes in workerd itself", () => {
  if (workerd.missing !== undefined) return it.skip(workerd.missing);

  it.each(["local", "auto"])("are refused under %j, with what to use instead", async (backend) => {
    const { url, stop } = await startWorker(inject("project"), "local-in-worker.js", {});
    try {
      const response = await fetch(url, { method: "POST", body: backend });
      expect(await response.json()).toMatchObject({
        code: "UNSUPPORTED",
        message: expect.stringMatching(/no Workers.*cannot run machines/),
        hint: expect.stringContaining("baseUrl"),
      });
    } finally {
      await stop();
    }
  });
});

/** The lines of an answer that say something. */
async function* linesOf(response: Response): AsyncGenerator<object> {
  let text = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const lines = `${text}${chunk}`.split("\n");
    text = lines.pop() as string;
    for (const line of lines) if (line !== "") yield JSON.parse(line);
  }
  expect(text).toBe("");
}

/** The box of an answer is removed once that has ended: the test's own limit ends what never is. */
async function noBoxes(): Promise<void> {
  while ((await client.listBoxes()).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
}
