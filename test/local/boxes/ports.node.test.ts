import { createHash } from "node:crypto";
import { type BoxHandle, BoxRunClient, type Connection } from "boxrun";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { failure, pattern } from "../../../src/testing/contract/tools.js";

const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
let box: BoxHandle;
beforeAll(async () => {
  box = await client.create("tiny", { memoryMb: 256 });
});
afterAll(() => client.close());

/** Starts a server for each connection: a command whose stdin and stdout it is. */
async function serve(port: number, command: string, address = "127.0.0.1"): Promise<void> {
  await box.spawn("nc", ["-lk", "-s", address, "-p", String(port), "-e", "/bin/sh", "-c", command], {
    detached: true,
  });
  await box.ports.waitFor(port);
}

async function readAll({ readable }: Connection): Promise<Uint8Array> {
  return new Uint8Array(await new Response(readable).arrayBuffer());
}

async function ask(port: number, bytes: Uint8Array): Promise<Uint8Array> {
  const connection = await box.connect(port);
  const writer = connection.writable.getWriter();
  const sent = writer.write(bytes).then(() => writer.close());
  const answer = await readAll(connection);
  await sent;
  await connection.closed;
  return answer;
}

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("servers in a box without a network", () => {
  it("are refused as long as nothing listens", async () => {
    expect(await failure(box.connect(4000))).toMatchObject({ code: "PORT_CLOSED", retryable: true });
    expect(await failure(box.fetch(4000))).toMatchObject({ code: "PORT_CLOSED" });
    expect(await failure(box.ports.waitFor(4000, { timeoutMs: 1 }))).toMatchObject({ code: "PORT_CLOSED" });
  });

  it("get and give bytes, each direction to its own end", async () => {
    await serve(4001, "cat");
    const bytes = pattern(8_000_000);
    expect(hash(await ask(4001, bytes))).toBe(hash(bytes));
  });

  it("are listed with their addresses, and reached on ::1 alone", async () => {
    await serve(4002, "echo v6", "::1");
    expect(await box.ports.list()).toEqual(expect.arrayContaining([{ port: 4002, addresses: ["::1"] }]));
    expect(new TextDecoder().decode(await readAll(await box.connect(4002)))).toBe("v6\n");
  });

  it("are many at once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => ask(4001, new TextEncoder().encode(`${i}`))),
    );
    expect(answers.map((answer) => new TextDecoder().decode(answer))).toEqual(answers.map((_, i) => `${i}`));
  });

  it("that do not read or are not read hold up nothing else", async () => {
    await serve(4003, "yes");
    const flood = await box.connect(4003);
    const reader = flood.readable.getReader();
    await reader.read();
    expect(new TextDecoder().decode(await ask(4001, new TextEncoder().encode("ok")))).toBe("ok");
    await reader.cancel();
    expect(await failure(flood.closed)).toMatchObject({ code: "CANCELED" });
  });

  it("cut the connection, which is told from its end", async () => {
    await serve(4004, "sleep 600");
    const connection = await box.connect(4004);
    const reading = failure(readAll(connection));
    const writer = connection.writable.getWriter();
    await writer.write(new TextEncoder().encode("unread"));
    await box.exec("pkill -9 sleep");
    expect(await reading).toMatchObject({ code: "STREAM_INTERRUPTED" });
  });

  it("are gone with their box", async () => {
    const other = await client.create("tiny", { memoryMb: 256 });
    await other.spawn("nc", ["-lk", "-p", "80", "-e", "cat"], { detached: true });
    await other.ports.waitFor(80);
    const connection = await other.connect(80);
    const reading = failure(readAll(connection));
    await other.stop();
    expect(await reading).toMatchObject({ code: "BOX_NOT_RUNNING" });
    expect(await failure(other.connect(80))).toMatchObject({ code: "BOX_NOT_RUNNING" });
    await other.remove();
  });
});
