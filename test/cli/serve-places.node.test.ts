import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { BoxRunClient } from "boxrun";
import { afterAll, describe, expect, it } from "vitest";
import { ServeProcesses } from "./serve-processes.js";

const processes = new ServeProcesses();
const { folder } = processes;
const start = (...args: string[]) => processes.start({}, ...args);
const boxrun = (env: Record<string, string>, ...args: string[]) => processes.boxrun(env, ...args);
afterAll(() => processes.end());

describe("the port or socket of boxrun serve", () => {
  it("says in one line that its port is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const port = String((other.address() as AddressInfo).port);
    const refused = await start("--port", port);
    other.close();
    expect(refused.line).toMatch(
      new RegExp(`^boxrun: cannot listen on 127.0.0.1:${port}: .*RUNTIME_ERROR\\]\n$`),
    );
    expect(await refused.ended).toBe(125);
  });

  it("says in one line what is where its socket or its folder is to be, and leaves it there", async () => {
    const file = join(folder, "notes.txt");
    writeFileSync(file, "mine");
    const refusals = [
      [["--socket", file], /not a socket.*RUNTIME_ERROR\]/],
      [["--socket", folder], /not a socket.*RUNTIME_ERROR\]/],
      [["--socket", join(folder, "x".repeat(200))], /at most \d+ bytes.*VALIDATION_ERROR\]/],
      [["--socket", join(file, "s")], /cannot listen.*RUNTIME_ERROR\]/],
      [["--socket", "/proc/x/s"], /cannot listen.*RUNTIME_ERROR\]/],
    ] as const;
    for (const [args, why] of refusals) {
      const refused = await start(...args);
      expect(refused.line).toMatch(/^boxrun: .*\n$/);
      expect(refused.line).toMatch(why);
      expect(await refused.ended).toBe(125);
    }
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  it("says in one line that $BOXRUN_PORT is not a port", async () => {
    const refused = await processes.start({ BOXRUN_PORT: "http" });
    expect(refused.line).toMatch(/^boxrun: BOXRUN_PORT must be an integer from 0 to 65535, got http\n/);
    expect(await refused.ended).toBe(2);
  });

  it("serves a socket of its owner's, takes over a dead server's, and refuses a live one's", async () => {
    const socket = join(folder, "run", "boxrun.sock");
    const first = await start("--socket", socket);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    const local = new BoxRunClient({ backend: "remote", socketPath: socket });
    expect((await local.info()).backend).toBe("remote");
    const ran = await boxrun({}, "run", "--server", `unix:${socket}`, "tiny", "--", "echo", "up");
    expect(ran).toEqual({ code: 0, stdout: "up\n", stderr: "" });
    const second = await start("--socket", socket);
    expect(second.line).toMatch(/another server listens/);
    expect(await second.ended).toBe(125);
    first.child.kill("SIGKILL");
    await first.ended;
    expect(existsSync(socket)).toBe(true);
    const third = await start("--socket", socket);
    expect((await new BoxRunClient({ backend: "remote", socketPath: socket }).info()).backend).toBe("remote");
    expect(await third.stop()).toBe(0);
  });
});
