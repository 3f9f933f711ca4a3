import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, type TestContext } from "vitest";
import type { UploadSpec } from "../../../src/backend/backend.js";
import { inspect, type PieceServer, uploadInPieces } from "../../../src/remote/transfer/upload-pieces.js";
import { failure } from "../../../src/testing/contract/tools.js";

const isRoot = process.getuid?.() === 0;
const hasBusyBox = spawnSync("busybox", ["true"]).status === 0;
const PIECES = ["first ", "second ", "third"];
const WHOLE = PIECES.join("");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-pieces-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
const names = (name = "") => readdirSync(at(name)).sort();
const text = (name: string) => readFileSync(at(name), "utf8");
const modeOf = (name: string) => statSync(at(name)).mode & 0o7777;

/** A program that stands before the one of the system. */
function instead(program: string, script: string): string {
  const programs = mkdtempSync(join(tmpdir(), "boxrun-programs-"));
  onTestFinished(() => rmSync(programs, { recursive: true }));
  writeFileSync(join(programs, program), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return programs;
}

function mount(context: TestContext, args: string[], target: string): void {
  if (!isRoot) context.skip("only root may mount");
  const { status } = spawnSync("mount", [...args, target], { stdio: "ignore" });
  if (status !== 0) context.skip("mounts are not allowed here");
}

describe.skipIf(process.platform !== "linux").each(["sh", "busybox"])(
  "by the scripts, run by %s,",
  (shell) => {
    const isMissing = shell === "busybox" && !hasBusyBox;
    let path: string;
    let program: string;

    beforeEach((context) => {
      if (isMissing) context.skip("there is no busybox on this machine");
      path = process.env["PATH"] as string;
      program = "/bin/sh";
      if (shell !== "busybox") return;
      const applets = mkdtempSync(join(tmpdir(), "boxrun-applets-"));
      onTestFinished(() => rmSync(applets, { recursive: true }));
      const busybox = execFileSync("sh", ["-c", "command -v busybox"], { encoding: "utf8" }).trim();
      for (const name of execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n"))
        symlinkSync(busybox, join(applets, name));
      path = applets;
      program = join(applets, "sh");
    });

    /** Uploads what `PIECES` holds, as a client does to a server whose box this machine is. */
    async function upload(target: string, options: UploadSpec = {}, onPut = (_dest: string) => {}) {
      const codes = new Map<string, number | null>();
      const server: PieceServer = {
        put: async (dest, bytes) => {
          onPut(dest);
          writeFileSync(dest, bytes);
        },
        startExec: async ({ cmd: [, ...words] }) => {
          const { status } = spawnSync(program, words, { env: { PATH: path }, cwd: "/" });
          const id = `exec_${codes.size}`;
          codes.set(id, status);
          return { id } as never;
        },
        waitExec: async (id) => ({ exitCode: codes.get(id) }) as never,
        cancelExec: async () => {},
      };
      const place = await inspect(server, at(target), undefined);
      const pieces = (async function* () {
        for (const piece of PIECES) yield new TextEncoder().encode(piece);
      })();
      await uploadInPieces(server, at(target), pieces, { ...options, place });
      return place;
    }

    it("a new file is made, with its directories and its mode", async () => {
      expect(await upload("made/deep/file", { newMode: 0o640 })).toBe("new");
      expect(text("made/deep/file")).toBe(WHOLE);
      expect(modeOf("made/deep/file")).toBe(0o640);
      expect(modeOf("made/deep") & 0o700).toBe(0o700);
      expect(names("made/deep")).toEqual(["file"]);
    });

    it("a file that is there is replaced, and its mode and owner kept", async () => {
      writeFileSync(at("old"), "old");
      linkSync(at("old"), at("other"));
      if (isRoot) chownSync(at("old"), 1234, 4321);
      chmodSync(at("old"), 0o4751);
      const { uid, gid } = statSync(at("old"));
      expect(await upload("old")).toBe("beside");
      expect(statSync(at("old"))).toMatchObject({ uid, gid, mode: 0o104751 });
      expect([text("old"), text("other")]).toEqual([WHOLE, "old"]);
      await upload("old", { mode: 0o600 });
      expect(modeOf("old")).toBe(0o600);
      expect(names()).toEqual(["old", "other"]);
    });

    it("links are followed as the kernel follows them", async () => {
      mkdirSync(at("other/dir"), { recursive: true });
      symlinkSync("other/dir", at("linked"));
      symlinkSync("../x", at("other/dir/dangling"));
      await upload("linked/dangling");
      await upload("linked/dangling");
      expect(text("other/x")).toBe(WHOLE);
      expect(readlinkSync(at("other/dir/dangling"))).toBe("../x");
      expect([names(), names("other"), names("other/dir")]).toEqual([
        ["linked", "other"],
        ["dir", "x"],
        ["dangling"],
      ]);
    });

    it("a name may be as long as names can be", async () => {
      const name = "n".repeat(255);
      await upload(name);
      await upload(name);
      expect(text(name)).toBe(WHOLE);
      expect(names()).toEqual([name]);
    });

    it("nobody else in the box reads what has come so far", async () => {
      writeFileSync(at("key"), "old");
      chmodSync(at("key"), 0o600);
      const seen: number[] = [];
      await upload("key", {}, (dest) => {
        seen.push(statSync(dirname(dest)).mode & 0o777);
        const part = join(dirname(dest), "part");
        if (existsSync(part)) seen.push(statSync(part).mode & 0o777);
      });
      expect(seen).toEqual([0o700, 0o700, 0o600, 0o700, 0o600]);
      expect(modeOf("key")).toBe(0o600);
    });

    it("what cannot be replaced is written into: a mount, and a device", async (context) => {
      writeFileSync(at("source"), "something longer than what comes");
      writeFileSync(at("mount"), "");
      mount(context, ["--bind", at("source")], at("mount"));
      try {
        await upload("mount");
      } finally {
        execFileSync("umount", [at("mount")]);
      }
      expect([text("source"), text("mount")]).toEqual([WHOLE, ""]);
      symlinkSync("/dev/null", at("null"));
      expect(await upload("null")).toBe("elsewhere");
      expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
      symlinkSync("/dev/full", at("full"));
      expect(await failure(upload("full"))).toMatchObject({
        code: "STORAGE_FULL",
        message: expect.stringContaining("full (it may be partly written)"),
      });
      expect(names()).toEqual(["full", "mount", "null", "source"]);
    });

    it("a file whose owner cannot be kept is written into", async () => {
      writeFileSync(at("theirs"), "a longer text of somebody else's");
      linkSync(at("theirs"), at("other"));
      path = `${instead("chown", "exit 1")}:${path}`;
      await upload("theirs");
      expect([text("theirs"), text("other")]).toEqual([WHOLE, WHOLE]);
      expect(names()).toEqual(["other", "theirs"]);
    });

    it.for(["old", "new"])(
      "a full disk leaves what is there, and nothing else: %s file",
      async (which, context) => {
        mkdirSync(at("small"));
        mount(context, ["-t", "tmpfs", "-o", "size=8k", "tmpfs"], at("small"));
        try {
          writeFileSync(at("small/old"), "o".repeat(4096));
          // Takes what room is left, by itself.
          writeFileSync(at("small/filler"), "f".repeat(4096));
          symlinkSync(`small/${which}`, at("link"));
          expect(await failure(upload("link"))).toMatchObject({ code: "STORAGE_FULL" });
          expect(names("small")).toEqual(["filler", "old"]);
          expect(text("small/old")).toBe("o".repeat(4096));
        } finally {
          execFileSync("umount", [at("small")]);
        }
        expect(names()).toEqual(["link", "small"]);
      },
    );

    it("nothing stays behind when the box ends a script midway, or lacks a program", async () => {
      writeFileSync(at("old"), "old");
      const system = path;
      for (const [program, script] of [
        ["chown", "kill -9 $PPID"],
        ["chmod", "kill -14 $PPID"],
        ["stat", "exit 127"],
      ] as const) {
        path = `${instead(program, script)}:${system}`;
        expect((await failure(upload("old"))).message).toMatch(/could not assemble it/);
        expect(names()).toEqual(["old"]);
        expect(text("old")).toBe("old");
      }
    });
  },
);

describe("an upload in pieces that is given up", () => {
  it("ends the script that runs before it cleans up", async () => {
    const calls: string[] = [];
    const reason = new Error("enough");
    const controller = new AbortController();
    let canceled = false;
    const server: PieceServer = {
      put: async () => {},
      startExec: async ({ cmd }) => {
        const id = cmd[2]!.startsWith("rm -rf") ? "discard" : cmd[2]!.includes("trap") ? "finish" : "other";
        calls.push(`start ${id}`);
        return { id } as never;
      },
      waitExec: async (id, signal) => {
        if (id !== "finish") return { exitCode: 0 } as never;
        if (canceled) {
          calls.push("finish is over");
          return { exitCode: null } as never;
        }
        controller.abort(reason);
        signal!.throwIfAborted();
        throw new Error("the signal was not passed on");
      },
      cancelExec: async (id) => {
        calls.push(`cancel ${id}`);
        canceled = true;
      },
    };
    const pieces = (async function* () {
      yield new Uint8Array(1);
    })();
    const options = { place: "new", signal: controller.signal } as const;
    expect(await failure(uploadInPieces(server, "/x", pieces, options))).toBe(reason);
    expect(calls).toEqual([
      "start other",
      "start other",
      "start finish",
      "cancel finish",
      "finish is over",
      "start discard",
    ]);
  });
});
