import { describe, expect, test } from "vitest";
import { MAX_DATA } from "../../src/local/protocol/frame-types.js";
import { AgentProcess, BOXES, processStat, whySkipped } from "./agent-process.js";

const SIGKILL = 9;

const exited = (stream: number, value: number) => ({ type: "exit", stream, how: "exited", value });
const signaled = (stream: number, value: number) => ({ type: "exit", stream, how: "signaled", value });

describe.skipIf(whySkipped).each(BOXES)(
  `flow of the agent's streams${whySkipped ? ` (skipped: ${whySkipped})` : ""}, %s`,
  (_box, volumes) => {
    const start = (options = {}) => AgentProcess.start({ volumes, ...options });
    describe("flow", () => {
      test("nothing is sent beyond the window, and all of it in the end", async () => {
        await using agent = await start();
        const window = 100_000;
        agent.exec(1, ["head", "-c", "3000000", "/dev/zero"], { window });
        let received = 0;
        while (received < window) received += (await agent.next(1, "data")).data.byteLength;
        await agent.settled();
        expect(received).toBe(window);
        expect(agent.frames.filter((frame) => frame.type === "data" || frame.type === "exit")).toEqual([]);
        agent.send({ type: "credit", stream: 1, bytes: 10 });
        expect((await agent.next(1, "data")).data).toHaveLength(10);
        agent.send({ type: "credit", stream: 1, bytes: 4_000_000 });
        const { stdout, end } = await agent.result(1);
        expect([stdout.length + window + 10, end]).toEqual([3_000_000, exited(1, 0)]);
      });

      test("a window of zero holds back output, not the program", async () => {
        await using agent = await start();
        agent.exec(1, ["echo", "kept"], { window: 0 });
        await agent.next(1, "started");
        await agent.settled();
        expect(agent.frames).toEqual([]);
        agent.send({ type: "credit", stream: 1, bytes: 5 });
        expect(await agent.result(1)).toMatchObject({ stdout: "kept\n", end: exited(1, 0) });
      });

      test("a stream that is not read holds up no other", async () => {
        await using agent = await start();
        agent.exec(1, ["yes"], { window: 10 });
        await agent.next(1, "data");
        for (let i = 0; i < 20; i++) {
          agent.exec(2, ["echo", "free"]);
          expect((await agent.result(2)).stdout).toBe("free\n");
        }
      });

      test("two floods share the connection", async () => {
        await using agent = await start();
        const received = [0, 0, 0];
        // Both pipes are full before either is read: else the kernel may let one program run long before the other.
        for (const stream of [1, 2]) {
          agent.exec(stream, ["yes"], { window: 1 });
          const { pid } = await agent.next(stream, "started");
          await agent.next(stream, "data");
          while (processStat(pid)?.state !== "S") await agent.settled();
        }
        for (const stream of [1, 2]) agent.send({ type: "credit", stream, bytes: 8 << 20 });
        for (let i = 0; i < 100; i++) {
          const at = agent.frames.findIndex((frame) => frame.type === "data");
          const stream = at >= 0 ? agent.frames[at]!.stream : 1;
          received[stream]! += (await agent.next(stream, "data")).data.byteLength;
        }
        expect(Math.min(received[1]!, received[2]!)).toBeGreaterThan(MAX_DATA);
      });

      test("megabytes of stdin come back through cat", async () => {
        await using agent = await start();
        agent.exec(1, ["cat"], { stdin: true });
        const sent = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) >> 5));
        const received: Uint8Array[] = [];
        let [at, credit, ended] = [0, 0, false];
        while (!ended) {
          const frame = await agent.next(1);
          if (frame.type === "credit") credit += frame.bytes;
          if (frame.type === "data") {
            received.push(frame.data);
            agent.send({ type: "credit", stream: 1, bytes: frame.data.byteLength });
          }
          ended = frame.type === "exit";
          while (credit > 0 && at < sent.length) {
            const data = sent.subarray(at, at + Math.min(credit, 10_007));
            agent.send({ type: "data", stream: 1, channel: "stdin", data });
            credit -= data.length;
            at += data.length;
            if (at === sent.length) agent.send({ type: "eof", stream: 1 });
          }
        }
        expect(Buffer.concat(received).equals(sent)).toBe(true);
      });

      test("without stdin, a command reads the end at once", async () => {
        await using agent = await start();
        agent.exec(1, ["cat"]);
        expect(await agent.result(1)).toMatchObject({ stdout: "", end: exited(1, 0) });
      });

      test("input that nobody reads is taken and thrown away", async () => {
        await using agent = await start();
        agent.shell(1, "exec <&-; echo closed; while [ ! -e /proc/self/nothing ]; do sleep 0.01; done", {
          stdin: true,
        });
        await agent.next(1, "data");
        let sent = 0;
        while (sent < 2_000_000) {
          let { bytes } = await agent.next(1, "credit");
          for (; bytes > 0; bytes -= MAX_DATA) {
            const data = new Uint8Array(Math.min(bytes, MAX_DATA));
            agent.send({ type: "data", stream: 1, channel: "stdin", data });
            sent += data.length;
          }
        }
        agent.send({ type: "eof", stream: 1 }, { type: "signal", stream: 1, signal: SIGKILL });
        expect((await agent.result(1)).end).toEqual(signaled(1, SIGKILL));
      });

      test("output printed before the end comes before EXIT, however much", async () => {
        await using agent = await start();
        for (const bytes of [1, 4096, 65536, 65537, 1_000_000]) {
          agent.exec(1, ["head", "-c", `${bytes}`, "/dev/zero"], { window: 1000 });
          expect((await agent.result(1)).stdout.length).toBe(bytes);
        }
      });
    });
  },
);
