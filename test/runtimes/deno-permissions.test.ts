import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, inject, it } from "vitest";
import { startProcess } from "./launch.js";
import { deno } from "./runtimes.mjs";

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
afterAll(() => rmSync(state, { recursive: true, force: true }));

/** A box that is kept, in a process that may do only this. Resolves to what it prints. */
function runWith(...allowed: string[]): Promise<string> {
  return run(
    `
      const client = new BoxRunClient({ backend: "local" });
      const box = await client.create("tiny", { memoryMb: 256 });
      await box.stop();
      await box.start();
      console.log(box.info.local.persistent, (await box.exec("echo up")).stdout.trim());
      await box.remove({ force: true });
      await client.close();
    `,
    allowed,
  );
}

/** Runs a script in a process that may do only this. Resolves to what it prints, or to its error. */
async function run(body: string, allowed: readonly string[]): Promise<string> {
  const script = `
    import { BoxRunClient } from "boxrun";
    try {
      ${body}
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

  it("that volumes need are all, and their directories work", async () => {
    const body = `
      const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
      const volumes = [{ hostPath: ${JSON.stringify(state)}, guestPath: "/work" }];
      const box = await client.create("tiny", { memoryMb: 256, volumes });
      const { stdout } = await box.exec("cd /work && mkdir dir && echo inside > dir/file && mv dir moved && cat moved/file && ln -s moved link && ls link");
      console.log(stdout);
      await client.close();`;
    expect(await run(body, ["--allow-all"])).toBe("inside\nfile");
    expect(readFileSync(join(state, "moved/file"), "utf8")).toBe("inside\n");
    expect(await run(body, needed)).toMatch(/^BoxRunError UNSUPPORTED volumes: in Deno, .*--allow-all/);
    const capability = `console.log((await new BoxRunClient({ backend: "local" }).info()).capabilities.volumes);`;
    expect(await run(capability, needed)).toMatch(/^in Deno, directories are mounted with --allow-all only/);
    expect(await run(capability, ["--allow-all"])).toBe("true");
  });

  it("that volumes need are all, and their directories are watched", async () => {
    const body = `
      const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
      const directory = Deno.makeTempDirSync({ dir: ${JSON.stringify(state)} });
      const box = await client.create("tiny", {
        memoryMb: 256,
        volumes: [{ hostPath: directory, guestPath: "/work" }],
      });
      const watch = box.files.watch("/work", { recursive: true });
      await watch.ready;
      const until = async (last) => {
        for await (const { type, path } of { [Symbol.asyncIterator]: () => ({ next: () => watch.next() }) })
          if (type + path === last) return;
      };
      await box.exec("mkdir /work/dir && echo x > /work/dir/file", { check: true });
      await until("created/work/dir/file");
      await box.exec("mv /work/dir /work/moved", { check: true });
      await until("renamed/work/moved");
      Deno.writeTextFileSync(directory + "/moved/file", "by the host");
      await until("changed/work/moved/file");
      console.log("seen");
      await client.close();`;
    expect(await run(body, ["--allow-all"])).toBe("seen");
  });

  it.each(needed)("are named by an error of ours without %s", async (left) => {
    const output = await runWith(...needed.filter((one) => one !== left));
    expect(output).toMatch(new RegExp(`^BoxRunError UNSUPPORTED missing permission: .*${left}`));
  });
});
