import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { elf32 } from "../images/elf.js";
import { ROOT } from "../root.js";

const CLI = join(ROOT, "dist/node/cli.js");

/** As a server sends one. */
const BOX = {
  id: "box_1",
  name: null,
  status: "running",
  image: "tiny",
  cpu: 1,
  memory_mb: 256,
  disk_size_gb: 8,
  network: false,
  workdir: "/root",
  env: {},
  volumes: [],
  boxlite_id: null,
  error_code: null,
  error_message: null,
  created_at: "2026-01-01T00:00:00Z",
  started_at: "2026-01-01T00:00:00Z",
  stopped_at: null,
};

const state = mkdtempSync(join(tmpdir(), "boxrun-state-"));
afterAll(() => rmSync(state, { recursive: true }));

/** Boxes are emulated here: no server that may run on this machine is found. */
const env = {
  ...process.env,
  BOXRUN_SOCKET: "",
  BOXRUN_STATE_DIR: state,
  BOXRUN_HOST: "",
  BOXRUN_PORT: "59873",
};

function boxrun(args: string[], input?: string, more: Record<string, string> = {}) {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: "pipe", env: { ...env, ...more } });
  const outputs = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (outputs.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (outputs.stderr += text));
  if (input !== undefined) child.stdin.end(input);
  const ended = once(child, "close").then(([code, signal]) => ({ code, signal, ...outputs }));
  return { child, outputs, ended };
}

describe("boxrun", () => {
  it("streams both outputs apart and exits with the command's code", async () => {
    const { ended } = boxrun(["run", "tiny", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]);
    expect(await ended).toEqual({ code: 3, signal: null, stdout: "out\n", stderr: "err\n" });
  });

  it("passes stdin", async () => {
    const { ended } = boxrun(["run", "--memory", "256", "tiny", "--", "sort"], "b\nc\na\n");
    expect(await ended).toMatchObject({ code: 0, stdout: "a\nb\nc\n" });
  });

  it("ends when the command ends, though stdin is still open", async () => {
    expect(await boxrun(["run", "--memory", "256", "tiny", "--", "true"]).ended).toMatchObject({ code: 0 });
  });

  it("passes environment, workdir and time limit", async () => {
    const options = ["--memory", "256", "-e", "A=b c", "--env", "D==", "-w", "/etc"];
    const shown = boxrun(["run", ...options, "tiny", "--", "sh", "-c", 'echo "$A $D $PWD"'], "");
    expect(await shown.ended).toMatchObject({ code: 0, stdout: "b c = /etc\n" });
    const slow = boxrun(["run", "--memory", "256", "--timeout", "300", "tiny", "--", "sleep", "60"], "");
    expect(await slow.ended).toMatchObject({
      code: 124,
      stderr: expect.stringContaining("timed out after 300 ms"),
    });
  });

  it("mounts directories of this machine, relative ones, too", async () => {
    const work = mkdtempSync(join(tmpdir(), "boxrun-work-"));
    writeFileSync(join(work, "main.txt"), "from here\n");
    const options = ["--memory", "256", "-v", `${relative(process.cwd(), work)}:/work`, "-w", "/work"];
    const command = "cat main.txt && echo made > made.txt && echo no > /again/made.txt";
    const args = ["run", ...options, "-v", `${work}:/again:ro`, "tiny", "--", "sh", "-c", command];
    const { code, stdout, stderr } = await boxrun(args).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "from here\n" });
    expect(stderr).toMatch(/Read-only file system/);
    expect(readFileSync(join(work, "made.txt"), "utf8")).toBe("made\n");
    rmSync(work, { recursive: true });
    const missing = await boxrun(["run", "-v", "./nothing:/work", "tiny", "--", "true"]).ended;
    expect(missing).toMatchObject({ code: 125, stderr: expect.stringContaining('/nothing" does not exist') });
  });

  it("gives a box a secret whose value is in the environment of this machine alone", async () => {
    const runWith = (secret: string, more: Record<string, string>) => {
      const options = ["--memory", "256", "--allow", "api.example.com", "--secret", secret];
      return boxrun(["run", ...options, "debian", "--", "sh", "-c", 'echo "$API_KEY"'], "", more).ended;
    };
    const given = await runWith("API_KEY=api.example.com", { API_KEY: "sk-value" });
    expect(given).toMatchObject({ code: 0, stdout: expect.stringMatching(/^boxrun-secret-[0-9a-f]{32}\n$/) });
    const missing = await runWith("API_KEY=api.example.com", { API_KEY: "" });
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining("variable API_KEY") });
    const wrong = await runWith("API_KEY=https://api.example.com", { API_KEY: "sk-value" });
    expect(wrong).toMatchObject({ code: 125, stdout: "" });
    expect(wrong.stderr).toContain('a host of --secret API_KEY must be a name such as "api.example.com"');
    const broken = await runWith("API_KEY=api.example.com", { API_KEY: "sk-value\n" });
    expect(broken).toMatchObject({ code: 125, stdout: "" });
    expect(broken.stderr).toContain("the variable API_KEY must be");
    expect(broken.stderr).not.toContain("sk-value");
  });

  it("exits as a shell does for a command that is not there", async () => {
    const { code, stderr } = await boxrun(["run", "--memory", "256", "tiny", "--", "nope"], "").ended;
    expect(code).toBe(127);
    expect(stderr).toBe("nope: command not found, no such file or directory (ENOENT)\n");
  });

  it("says why, where the box's machine cannot run the program", async () => {
    const avx = Buffer.from(elf32([0xc5, 0xf8, 0x57, 0xc0])).toString("base64");
    const cmd = ["sh", "-c", "base64 -d > /tmp/avx && chmod +x /tmp/avx && exec /tmp/avx"];
    const args = ["run", "--memory", "256", "tiny", "--", ...cmd];
    const { code, stderr } = await boxrun(args, avx).ended;
    expect(code).toBe(132);
    expect(stderr).toMatch(/^boxrun: killed by signal 4 \(illegal instruction\): .*AVX.*\n$/);
    const unread = boxrun(args, avx);
    unread.child.stderr.destroy();
    expect(await unread.ended).toMatchObject({ code: 132 });
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("cancels the command on %s and exits with %i", async (signal, code) => {
    const cmd = ["sh", "-c", "echo up; sleep 60"];
    const { child, ended } = boxrun(["run", "--memory", "256", "tiny", "--", ...cmd]);
    await once(child.stdout, "data");
    child.kill(signal);
    expect(await ended).toEqual({ code, signal: null, stdout: "up\n", stderr: "" });
  });

  it.each([
    ["that never ends", ["yes"]],
    ["with more output than fits a pipe", ["seq", "1", "1000000"]],
  ])("stops a command %s when the reader of its output has gone", async (_, cmd) => {
    const { child, ended } = boxrun(["run", "--memory", "256", "tiny", "--", ...cmd], "");
    await once(child.stdout, "data");
    child.stdout.destroy();
    expect(await ended).toMatchObject({ code: 141, signal: null, stderr: "" });
  });

  it("stops when the reader of the command's errors has gone", async () => {
    const { child, ended } = boxrun(
      ["run", "--memory", "256", "tiny", "--", "sh", "-c", "echo up >&2; yes >&2"],
      "",
    );
    await once(child.stderr, "data");
    child.stderr.destroy();
    expect(await ended).toMatchObject({ code: 141, signal: null, stdout: "" });
  });

  it.skipIf(!existsSync("/dev/full"))("says so when its output cannot be written", async () => {
    const stdio = ["ignore", openSync("/dev/full", "w"), "pipe"] as const;
    const args = [CLI, "run", "--memory", "256", "tiny", "--", "echo", "hello"];
    const child = spawn(process.execPath, args, { stdio: [...stdio] });
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text) => (stderr += text));
    expect(await once(child, "close")).toEqual([125, null]);
    expect(stderr).toMatch(/^boxrun: .*ENOSPC.*\n$/);
  });

  it("lists the images", async () => {
    const { stdout, stderr } = await boxrun(["images"]).ended;
    expect(stdout).toMatch(/^tiny, busybox, alpine\*, alpine:3\.20\*\tBusyBox/m);
    expect(stderr).toBe("* not that image itself: this one stands in for it\n");
  });

  it.each([
    [["run", "--help"], /^Usage: boxrun run \[OPTIONS\] IMAGE -- .*--memory MIB.*Ctrl-C/s, /--allow-origin/],
    [["serve", "-h"], /^Usage: boxrun serve \[OPTIONS\]\n.*--allow-origin/s, /--memory/],
    [
      ["site", "--help"],
      /^Usage: boxrun site FOLDER \[--image IMAGE\].*--image IMAGE.*--preview-url URL.*--relay-url URL/s,
      /--memory/,
    ],
    [["help", "images"], /^Usage: boxrun images .*--server/s, /--memory/],
    [["pull", "--help"], /^Usage: boxrun pull IMAGE\n\nDownload a whole image/, /Options/],
  ] as const)("prints the help of one command: %s", async (args, expected, other) => {
    const { code, stdout } = await boxrun([...args]).ended;
    expect([code, stdout]).toEqual([0, expect.stringMatching(expected)]);
    expect(stdout).not.toMatch(other);
  });

  it.each([
    [
      ["--memory", "64", "tiny"],
      "boxrun: --memory must be an integer from 96 to 2048 for a local box, got 64",
    ],
    [["--disk", "0", "tiny"], "boxrun: --disk must be greater than 0, got 0"],
    [["--workdir", "etc", "tiny"], "boxrun: --workdir must be an absolute path"],
    [["--server", "http://me:pw@127.0.0.1", "tiny"], "boxrun: --server must not contain a user or password"],
    [
      ["pyhton"],
      'boxrun: there is no local image "pyhton" (did you mean "python"? the images are debian and tiny;',
    ],
  ])("speaks of the options of run %s as the user wrote them", async (args, message) => {
    const { code, stderr } = await boxrun(["run", ...args, "--", "true"]).ended;
    expect(code).toBe(125);
    expect(stderr).toContain(message);
  });

  it("says that an image is all here once it has been pulled, and what it takes", async () => {
    const { code, stdout, stderr } = await boxrun(["pull", "tiny"]).ended;
    expect([code, stdout]).toEqual([0, ""]);
    expect(stderr).toMatch(/^boxrun: downloaded tiny, [1-9]\d*\.\d MB\n$/);
  });

  it.each([
    [["pull", "windows"], 125, /IMAGE_PULL_FAILED/],
    [["run", "windows", "--", "true"], 125, /IMAGE_PULL_FAILED/],
    [["run", "--memory", "5", "tiny", "--", "true"], 125, /--memory must be an integer from 96/],
    [["run", "tiny"], 2, /run needs a command/],
    [["run", "tiny", "true"], 2, /put -- before the command/],
    [["run", "tiny", "ls", "-l"], 2, /put -- before the command/],
    [["run", "--", "true"], 2, /run needs an image/],
    [["run", "--memory", "x", "tiny", "--", "true"], 2, /--memory/],
    [["run", "--no-such", "tiny", "--", "true"], 2, /no-such/],
    [["run", "--memory", "", "tiny", "--", "true"], 2, /--memory must not be empty/],
    [["pull"], 2, /pull needs an image/],
    [["pull", "tiny", "debian"], 2, /pull takes one image/],
    [["images", "extra"], 2, /images takes no arguments, got extra/],
    [["images", "--", "extra"], 2, /images takes no arguments, got extra/],
    [["serve", "extra"], 2, /serve takes no arguments, got extra/],
    [["serve", "--token", ""], 2, /--token must not be empty/],
    [["serve", "--socket", ""], 2, /--socket must not be empty/],
    [["pull", "--server", "http://127.0.0.1:9090", "tiny"], 2, /pull does not take --server/],
    [["run", "--server", "127.0.0.1:9090", "tiny", "--", "true"], 2, /--server must be http/],
    [["run", "--server", "http://127.0.0.1:59873", "tiny", "--", "true"], 125, /CONNECTION_FAILED/],
    [["serve", "--allow-origin", "https://example.com/"], 2, /--allow-origin must be an origin/],
    [["fly"], 2, /no command fly/],
    [[], 2, /expected a command/],
  ])("says what is wrong with %j", async (args, code, why) => {
    const result = await boxrun(args, "").ended;
    expect(result.code).toBe(code);
    expect(result.stderr).toMatch(why);
    expect(result.stdout).toBe("");
    const hint = code === 2 ? 'Run "boxrun --help" for usage\\.\n' : "";
    expect(result.stderr).toMatch(new RegExp(`^boxrun: .*\n${hint}$`));
  });

  it("shows no stack, whatever is thrown wherever", async () => {
    const broken = `process.on("SIGUSR2", () => { throw new TypeError("first\\nsecond") })`;
    const args = ["run", "--memory", "256", "tiny", "--", "sh", "-c", "echo up; sleep 60"];
    const more = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(broken)}` };
    const { child, ended } = boxrun(args, "", more);
    await once(child.stdout, "data");
    child.kill("SIGUSR2");
    expect(await ended).toMatchObject({ code: 125, stderr: "boxrun: first second\n" });
  });

  it("tells the first of two errors: a box that cannot be removed either does not hide it", async () => {
    const answers: Record<string, [number, unknown]> = {
      "GET /v1/info": [200, { max_cpu: 4, max_memory_mb: 8192 }],
      "POST /v1/boxes": [201, BOX],
      "POST /v1/boxes/box_1/exec": [400, { code: "RUNTIME_ERROR", message: "the first" }],
      "DELETE /v1/boxes/box_1": [400, { code: "RUNTIME_ERROR", message: "the second" }],
    };
    const server = createServer(({ method, url = "" }, response) => {
      const [status, body] = answers[`${method} ${url.split("?")[0]}`] ?? [404, {}];
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stderr } = await boxrun(["run", "--server", url, "tiny", "--", "true"], "").ended;
    server.close();
    expect(code).toBe(125);
    expect(stderr).toMatch(/^boxrun: POST .*the first \[RUNTIME_ERROR\]\n$/);
  });

  it("lists the boxes of a server, and of this machine", async () => {
    const answers: Record<string, unknown> = {
      "/v1/info": { max_cpu: 4, max_memory_mb: 8192 },
      "/v1/boxes": [BOX],
    };
    const server = createServer(({ url = "" }, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(answers[url.split("?")[0]!] ?? {}));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [table, json, local] = await Promise.all([
      boxrun(["ls", "--server", url]).ended,
      boxrun(["ls", "--json", "--server", url]).ended,
      boxrun(["ls", "--json", "--state", join(state, "none")]).ended,
    ]);
    server.close();
    expect(table).toMatchObject({ code: 0, stderr: "" });
    expect(table.stdout).toMatch(/^ID +NAME +IMAGE +STATUS +AGE\nbox_1 +- +tiny +running +\d+d\n$/);
    expect(JSON.parse(json.stdout)).toMatchObject([{ id: "box_1", memoryMb: 256 }]);
    expect(local).toMatchObject({ code: 0, stdout: "[]\n" });
  });

  it("knows its version", async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    expect(await boxrun(["--version"]).ended).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  it("explains itself", async () => {
    expect(await boxrun(["--help"]).ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("Usage:"),
    });
  });
});
