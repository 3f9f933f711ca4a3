import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, inject, it } from "vitest";
import { startProcess } from "./launch.js";
import { deno } from "./runtimes.mjs";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
afterAll(() => rmSync(state, { recursive: true, force: true }));

/** A box that is kept, in a process that may do only this. Resolves to what it prints. */
async function runWith(...allowed: string[]): Promise<string> {
  const script = `
    import { BoxRunClient } from "boxrun";
    try {
      const client = new BoxRunClient({ backend: "local" });
      const box = await client.create("tiny", { memoryMb: 256 });
      await box.stop();
      await box.start();
      console.log(box.info.local.persistent, (await box.exec("echo up")).stdout.trim());
      await box.remove({ force: true });
      await client.close();
    } catch (error) {
      console.log(error.name, error.code, error.message);
    }
  `;
  const project = inject("project");
  const file = join(project, "permissions.js");
  writeFileSync(file, script);
  let output = "";
  const running = startProcess(deno.path, ["run", "--no-remote", "--no-prompt", ...allowed, file], {
    cwd: project,
    env: { XDG_DATA_HOME: state, XDG_CACHE_HOME: state },
    onOutput: (text) => {
      output += text;
    },
  });
  expect(await running.ended).toBe("with code 0");
  return output.trim();
}

describe.skipIf(deno.missing !== undefined)("permissions in Deno", () => {
  const needed = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys"];

  it("that the docs name are all that boxes which are kept need", async () => {
    expect(await runWith(...needed)).toBe("true up");
  });

  it.each(needed)("are named by an error of ours without %s", async (left) => {
    const output = await runWith(...needed.filter((one) => one !== left));
    expect(output).toMatch(new RegExp(`^BoxRunError UNSUPPORTED missing permission: .*${left}`));
  });
});
