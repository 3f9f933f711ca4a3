import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { RelayDialer } from "../../src/local/network/relay-dialer.js";
import type { ByteConnection } from "../../src/network/dialer.js";
import { deferred } from "../../src/util/deferred.js";
import { startProcess } from "./launch.js";
import { findClosedPort, startRelay, startServer } from "./relay-servers.js";
import { wispJs } from "./runtimes.mjs";

const { signal } = new AbortController();
const host = "127.0.0.1";

/** Starts a script of this folder, which is a process of its own: wisp-js is under another license. */
function start(script: string, ...args: string[]) {
  const printed = deferred<string>();
  let output = "";
  const { ended, stop } = startProcess(process.execPath, [join(import.meta.dirname, script), ...args], {
    cwd: import.meta.dirname,
    onOutput: (text) => {
      output += text;
      // Beside its warnings.
      const line = /^[{\d].*(?=\n)/m.exec(output)?.[0];
      if (line !== undefined) printed.resolve(line);
    },
  });
  onTestFinished(stop);
  void ended.then((how) => printed.reject(new Error(`${script} ended ${how}`)));
  return printed.promise;
}

async function receive({ readable }: ByteConnection, count = Number.POSITIVE_INFINITY): Promise<number> {
  const reader = readable.getReader();
  let received = 0;
  while (received < count) {
    const { done, value } = await reader.read();
    if (done) break;
    received += value.byteLength;
  }
  return received;
}

describe.skipIf(wispJs.missing)(`wisp-js${wispJs.missing ? `: ${wispJs.missing}` : ""}`, () => {
  it("makes the connections of our client", async () => {
    const relay = new RelayDialer(`ws://${host}:${await start("wisp-js-server.mjs")}/`);
    onTestFinished(() => relay.close());
    const connect = (port: number) => relay.connect({ host, port }, { signal });
    const echo = await connect(await startServer((socket) => socket.pipe(socket)));
    const writer = echo.writable.getWriter();
    const sent = (async () => {
      for (let i = 0; i < 8; i++) await writer.write(new Uint8Array(2 ** 20));
    })();
    expect(await receive(echo, 8 * 2 ** 20)).toBe(8 * 2 ** 20);
    await sent;
    const goodbye = await connect(await startServer((socket) => socket.end("bye")));
    expect(await receive(goodbye)).toBe(3);
    await expect(connect(await findClosedPort())).rejects.toMatchObject({ code: "ECONNREFUSED" });
    // The first connection lives on.
    await writer.write(new Uint8Array(5));
    await writer.abort();
  });

  it.each([1, 2])("is a client of our relay, in version %i", async (version) => {
    const { pathUrl: url } = await startRelay();
    const port = await startServer((socket) => socket.pipe(socket));
    const printed = await start(
      "wisp-js-client.mjs",
      ...[url, "echo.example.com", `${port}`, `${await findClosedPort()}`, `${version}`],
    );
    expect(JSON.parse(printed)).toEqual({ echo: [128 * 65_536, true], refused: 0x44 });
  });
});
