import { BoxRunClient } from "boxrun";
import { createLocalBackend } from "boxrun/local";
import { createHandler } from "boxrun/server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BoxHandle, ExitError } from "../../src/index.js";
import { elf32, elf64 } from "./elf.js";

const FORMAT = expect.stringMatching(/^exec format error: .*i686.*32-bit.*not 64-bit/);
const INSTRUCTION = expect.stringMatching(/^killed by signal 4 \(illegal instruction\): .*no .*AVX/);

/** One instruction each, on registers alone. */
const INSTRUCTIONS = {
  sse2: [0x66, 0x0f, 0xfe, 0xc0],
  sse3: [0xf2, 0x0f, 0x7c, 0xc0],
  ssse3: [0x66, 0x0f, 0x38, 0x00, 0xc0],
  sse4_1: [0x66, 0x0f, 0x38, 0x40, 0xc0],
  sse4_2: [0xf2, 0x0f, 0x38, 0xf0, 0xc0],
  avx: [0xc5, 0xf8, 0x57, 0xc0],
  avx2: [0xc5, 0xfd, 0xfe, 0xc0],
  popcnt: [0xf3, 0x0f, 0xb8, 0xc0],
  aes: [0x66, 0x0f, 0x38, 0xdc, 0xc0],
  bmi1: [0xc4, 0xe2, 0x78, 0xf2, 0xc0],
} as const;

describe.each(["local", "over a server"])("a program for another machine, %s", (where) => {
  const backend = createLocalBackend({ persistent: false });
  let box: BoxHandle;
  beforeAll(async () => {
    const client =
      where === "local"
        ? new BoxRunClient({ backend })
        : new BoxRunClient({
            backend: "remote",
            baseUrl: "http://boxrun.internal",
            fetch: createHandler(backend),
          });
    box = await client.create("tiny", { memoryMb: 256 });
    await box.files.write("/root/for-x86-64", elf64(), { mode: 0o755 });
    for (const [name, code] of Object.entries(INSTRUCTIONS))
      await box.files.write(`/root/${name}`, elf32(code), { mode: 0o755 });
  });
  afterAll(() => backend.close());

  it("for 64 bits is refused, and the hint says what would run", async () => {
    const result = await box.exec(["/root/for-x86-64"]);
    expect(result).toMatchObject({
      exitCode: 126,
      stderr: "/root/for-x86-64: exec format error (ENOEXEC)\n",
      errorMessage: FORMAT,
    });
    const error = (await box.exec(["/root/for-x86-64"], { check: true }).catch((e) => e)) as ExitError;
    expect(error.message).toContain("32-bit x86 programs");
    const execution = await box.execStream(["/root/for-x86-64"]);
    expect(await execution.wait()).toMatchObject({ exitCode: 126, errorMessage: FORMAT });
  });

  it("for 64 bits is no script for the shell of tiny, either", async () => {
    const { exitCode, stderr, errorMessage } = await box.exec("/root/for-x86-64");
    expect([exitCode, stderr, errorMessage]).toEqual([
      126,
      expect.stringMatching(/exec format error/i),
      FORMAT,
    ]);
    await box.files.write("/root/script", "echo from a script", { mode: 0o755 });
    expect(await box.exec("/root/script")).toMatchObject({ stdout: "from a script\n", exitCode: 0 });
  });

  it.each(["ssse3", "sse4_1", "sse4_2", "avx", "avx2", "aes", "bmi1"])(
    "with an instruction of %s is killed, and the hint says why",
    async (name) => {
      expect(await box.exec([`/root/${name}`])).toMatchObject({ exitCode: 132, errorMessage: INSTRUCTION });
    },
  );

  it("with such an instruction has the hint where a shell ends as the program did", async () => {
    const { exitCode, stderr, errorMessage } = await box.exec("/root/avx; exit $?");
    expect([exitCode, stderr, errorMessage]).toEqual([132, "Illegal instruction\n", INSTRUCTION]);
  });

  it("is found behind any amount of output, as a shell tells it", async () => {
    const cmd = "dd if=/dev/zero bs=1M count=40 2> /dev/null; /root/avx; echo afterwards; exit 132";
    const { exitCode, errorMessage } = await box.exec(cmd, { maxOutputBytes: 64 * 2 ** 20 });
    expect([exitCode, errorMessage]).toEqual([132, INSTRUCTION]);
  });

  it.each(["sse2", "sse3", "popcnt"])("with an instruction of %s runs", async (name) => {
    expect(await box.exec([`/root/${name}`])).toMatchObject({ exitCode: 0, errorMessage: null });
  });
});
