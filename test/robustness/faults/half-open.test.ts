import { expect, it, onTestFinished } from "vitest";
import { BoxRunClient } from "../../../src/index.js";
import { failure } from "../../../src/testing/contract/tools.js";
import type { Plan } from "./plan.js";
import { FaultProxy } from "./proxy.js";
import { startFake } from "./servers.js";

it.each([{ extensions: true }, { extensions: false }])(
  "a terminal whose server is not heard any more ends, and its socket is let go: %j",
  async ({ extensions }) => {
    const target = await startFake({ extensions });
    const plan: Plan = [];
    const proxy = await FaultProxy.start(target.port, plan);
    onTestFinished(async () => {
      await proxy.close();
      expect(await target.release()).toEqual([]);
    });
    const baseUrl = `http://127.0.0.1:${proxy.port}`;
    const client = new BoxRunClient({ backend: "remote", baseUrl, timeouts: { silenceMs: 500 } });
    const box = await client.getBox(await target.newBox());
    // The next connection is the terminal's. What is sent is taken, and what comes is lost: nothing but silence shows it.
    const rest = { direction: "down", afterBytes: 2000, ms: 0, count: 0, mask: 0 } as const;
    plan.push({ kind: "swallow", connection: proxy.connections, ...rest });
    const terminal = await box.attach();
    await terminal.writable.getWriter().write(`echo ${"x".repeat(3000)}\n`);
    expect(await failure(terminal.exited)).toMatchObject({ code: "STREAM_INTERRUPTED", retryable: true });
    expect(proxy.fired).toHaveLength(1);
    await client.close();
    proxy.thaw();
    expect(await proxy.idle(30_000)).toBe(true);
  },
);
