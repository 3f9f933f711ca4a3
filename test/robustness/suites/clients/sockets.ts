import { strict as assert } from "node:assert";
import { randomBytes } from "node:crypto";
import type { BoxHandle } from "boxrun";
import { type Check, python, sha256 } from "./stage.js";

const SERVER_PORT = 8765;
const ASYNCIO_PORT = 8766;
const CONNECTIONS = 50;

/** A server of the package `websockets`: answers each message with itself, and "close" with 4001. */
const SERVER = `
import asyncio, websockets
async def answer(one):
    async for message in one:
        if message == "close": await one.close(4001, "as asked")
        else: await one.send(message)
async def main():
    async with websockets.serve(answer, "127.0.0.1", ${SERVER_PORT}, max_size=None): await asyncio.Future()
asyncio.run(main())
`;

/** Checks of Python's websockets and asyncio. */
export const SOCKETS: Check[] = [
  {
    name: "websockets: messages of 1 MB to a server outside and back, and its close code",
    async run({ user }) {
      const out = await python(
        user,
        `
import asyncio, os, websockets
async def main():
    async with websockets.connect("ws://ws.example.com/", max_size=None) as one:
        for _ in range(4):
            sent = os.urandom(1 << 20)
            await one.send(sent)
            print(await one.recv() == sent)
        await one.send("grüße")
        print(await one.recv())
        await one.send("close 4002 enough")
        try: await one.recv()
        except websockets.ConnectionClosed as error: print(error.rcvd.code, error.rcvd.reason)
asyncio.run(main())
`,
      );
      assert.equal(out, "True\nTrue\nTrue\nTrue\ngrüße\n4002 enough\n");
    },
  },
  {
    name: "websockets: closes by itself, which the server sees",
    async run({ user }) {
      const out = await python(
        user,
        `
import asyncio, websockets
async def main():
    one = await websockets.connect("ws://ws.example.com/")
    await one.close(4003, "mine")
    print(one.close_code, one.close_reason)
asyncio.run(main())
`,
      );
      assert.equal(out, "4003 mine\n");
    },
  },
  {
    name: "websockets: a server in the box, by box.connectWebSocket, with messages of 1 MB and its close code",
    async run({ user }) {
      await withServer(user, SERVER, SERVER_PORT, async () => {
        const socket = await user.connectWebSocket(SERVER_PORT, "/");
        const writer = socket.writable.getWriter();
        const reader = socket.readable.getReader();
        for (let i = 0; i < 4; i++) {
          const sent = randomBytes(1 << 20);
          await writer.write(sent);
          const { value } = await reader.read();
          assert.equal(sha256(value as Uint8Array), sha256(sent));
        }
        await writer.write("grüße");
        assert.equal((await reader.read()).value, "grüße");
        await writer.write("close");
        assert.deepEqual(await socket.closed, { code: 4001, reason: "as asked" });
      });
    },
  },
  {
    name: `asyncio: ${CONNECTIONS} connections at once to a server outside, 100 kB each way`,
    async run({ user }) {
      const out = await python(
        user,
        `
import asyncio, os
async def ask():
    reader, writer = await asyncio.open_connection("echo.example.com", 7)
    sent = os.urandom(100_000)
    writer.write(sent)
    writer.write_eof()
    got = await reader.read()
    writer.close()
    await writer.wait_closed()
    return got == sent
async def main(): print(sum(await asyncio.gather(*[ask() for _ in range(${CONNECTIONS})])))
asyncio.run(main())
`,
      );
      assert.equal(out, `${CONNECTIONS}\n`);
    },
  },
  {
    name: `asyncio: a server in the box, ${CONNECTIONS} connections at once by box.connect`,
    async run({ user }) {
      const server = `
import asyncio
async def answer(reader, writer):
    writer.write((await reader.read()).upper())
    writer.close()
async def main():
    async with await asyncio.start_server(answer, "127.0.0.1", ${ASYNCIO_PORT}) as server: await server.serve_forever()
asyncio.run(main())
`;
      await withServer(user, server, ASYNCIO_PORT, async () => {
        const answers = await Promise.all(
          Array.from({ length: CONNECTIONS }, async (_, i) => {
            const { readable, writable } = await user.connect(ASYNCIO_PORT);
            const writer = writable.getWriter();
            await writer.write(new TextEncoder().encode(`letters ${i} `.repeat(1000)));
            await writer.close();
            return (await new Response(readable).text()) === `LETTERS ${i} `.repeat(1000);
          }),
        );
        assert.equal(answers.filter(Boolean).length, CONNECTIONS);
      });
    },
  },
];

/** Runs a Python server in the box for as long as the work takes. */
async function withServer(
  box: BoxHandle,
  program: string,
  port: number,
  work: () => Promise<void>,
): Promise<void> {
  const server = await box.spawn("python3", ["-c", program], { detached: true });
  try {
    await box.ports.waitFor(port);
    await work();
  } finally {
    await server.cancel();
  }
}
