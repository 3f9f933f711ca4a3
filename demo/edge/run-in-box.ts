import { type BoxRunClient, type Execution, isBoxRunError } from "boxrun/remote";

const LIMIT_MS = 60_000;
/** Some platforms notice that a reader has left only when they write to it. */
const ALIVE_MS = 5_000;

/**
 * Answers a request whose body is a shell script with what that prints, as it prints it, from a box that is made for it: a line of JSON for each piece of output and one for the exit, and an
 * empty line in silence. `removed` resolves when the box is gone: at the script's end, or when the answer's reader leaves.
 */
export async function runInBox(
  client: BoxRunClient,
  request: Request,
): Promise<{ response: Response; removed: Promise<void> }> {
  if (request.method !== "POST") return refuse(405, "POST a shell script");
  try {
    const { output, removed } = await start(client, await request.text());
    const headers = { "content-type": "application/x-ndjson" };
    return { response: new Response(output, { headers }), removed };
  } catch (error) {
    if (!isBoxRunError(error)) throw error;
    return refuse(error.retryable ? 503 : 500, `${error.code}: ${error.message}`);
  }
}

async function start(
  client: BoxRunClient,
  script: string,
): Promise<{ output: ReadableStream<Uint8Array>; removed: Promise<void> }> {
  const box = await client.create("tiny", { memoryMb: 256 });
  const remove = () => box.remove({ force: true });
  try {
    const reader = new AbortController();
    const execution = await box.execStream(script, { timeoutMs: LIMIT_MS, signal: reader.signal });
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    return { output: readable, removed: send(execution, writable, reader).then(remove, remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Rejects when the reader leaves; `reader` is aborted then. */
async function send(
  execution: Execution,
  output: WritableStream<Uint8Array>,
  reader: AbortController,
): Promise<void> {
  const writer = output.getWriter();
  const leave = () => reader.abort(new Error("the reader has left"));
  writer.closed.then(leave, leave);
  const say = (line: string) => writer.write(new TextEncoder().encode(`${line}\n`));
  const alive = setInterval(() => say("").catch(leave), ALIVE_MS);
  try {
    for await (const event of execution) {
      await say(
        JSON.stringify(event.type === "log" ? { [event.stream]: event.data } : { exitCode: event.exitCode }),
      );
    }
    await writer.close();
  } finally {
    clearInterval(alive);
    await writer.abort().catch(() => {});
  }
}

function refuse(status: number, why: string): { response: Response; removed: Promise<void> } {
  return { response: new Response(`${why}\n`, { status }), removed: Promise.resolve() };
}
