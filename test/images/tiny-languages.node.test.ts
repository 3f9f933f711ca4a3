import { type BoxHandle, BoxRunClient } from "boxrun";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

describe("JavaScript in tiny", () => {
  let client: BoxRunClient;
  let box: BoxHandle;
  beforeAll(async () => {
    client = new BoxRunClient({ backend: "local", local: { persistent: false } });
    box = await client.create("tiny", { memoryMb: 256 });
  });
  afterAll(() => client?.close());

  it("is a whole language, with right numbers", async () => {
    const script = `
      const { groups } = /(?<year>\\p{Nd}+)/u.exec("in 2026");
      console.log(5000.3 % 0.7, Math.log10(1000), 10 ** 308, 2n ** 80n, groups.year);
      console.log(JSON.stringify({ at: new Date(2 ** 42).toISOString(), map: [...new Map([["a", "\\u00fc"]])] }));
      for await (const n of (async function* () { yield 1; yield 2; })()) console.log(n);`;
    await box.files.write("/root/language.mjs", script);
    const { stdout } = await box.exec(["qjs", "/root/language.mjs"], { check: true });
    expect(stdout).toBe(
      `${[
        "0.2000000000004991 3 1e+308 1208925819614629174706176 2026",
        '{"at":"2109-05-15T07:35:11.104Z","map":[["a","\u00fc"]]}',
        1,
        2,
      ].join("\n")}\n`,
    );
  });

  it("reads files and starts programs", async () => {
    const script = `import * as std from "qjs:std"; import * as os from "qjs:os";
      os.exec(["sh", "-c", "echo from a program > /tmp/told"]);
      std.out.puts(std.loadFile("/tmp/told") + os.readdir("/etc")[0].includes("passwd"));
      std.exit(7);`;
    await box.files.write("/root/system.mjs", script);
    const { stdout, exitCode } = await box.exec(["qjs", "/root/system.mjs"]);
    expect([stdout, exitCode]).toEqual(["from a program\ntrue", 7]);
  });

  it.each([["qjs"], ["qjs", "-"], ["qjs", "-m"]])(
    "runs the program that is piped into %s %s",
    async (...cmd) => {
      const piped = await box.exec(cmd, { stdin: "console.log(6 * 7)\n", timeoutMs: 30_000 });
      expect(piped).toMatchObject({ stdout: "42\n", stderr: "", exitCode: 0 });
      const empty = await box.exec(cmd, { timeoutMs: 30_000 });
      expect(empty).toMatchObject({ stdout: "", stderr: "", exitCode: 0 });
    },
  );

  it("says where a program failed, and refuses what this build cannot do", async () => {
    const failed = await box.exec(["qjs", "-e", "null.x"]);
    expect(failed.exitCode).toBe(1);
    expect(failed.stderr).toContain("TypeError: cannot read property 'x' of null");
    const refused = await box.exec(["qjs", "-c", "/root/language.mjs", "-o", "/tmp/program"]);
    expect(refused).toMatchObject({ exitCode: 1, stderr: "qjs: unknown option '-c'\n" });
  });

  it("answers at its prompt", async () => {
    const terminal = await box.attach({ signal: AbortSignal.timeout(50_000) });
    const reader = terminal.readable.pipeThrough(new TextDecoderStream() as never).getReader();
    let shown = "";
    const until = async (text: string) => {
      while (!shown.includes(text)) {
        const { done, value } = await reader.read();
        if (done) throw new Error(`it ended after ${JSON.stringify(shown)}`);
        shown += value;
      }
      shown = "";
    };
    const writer = terminal.writable.getWriter();
    await writer.write("exec qjs\n");
    await until("qjs > ");
    await writer.write("[6, 7].reduce((a, b) => a * b) * 1.5\n");
    await until("63");
    await writer.write("\\q\n");
    expect(await terminal.exited).toBe(0);
  });
});
