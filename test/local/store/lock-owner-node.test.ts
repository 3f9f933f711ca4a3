import * as files from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterEach, expect, it, vi } from "vitest";
import { claim, mayLive, type Owner } from "../../../src/local/store/lock-owner-node.js";

vi.mock("node:fs/promises", async (original) => {
  const actual = await original<typeof files>();
  return { ...actual, readFile: vi.fn(actual.readFile) };
});

const folder = await files.mkdtemp(`${tmpdir()}/boxrun-owner-`);
const { owner, end } = await claim(folder);
afterEach(() => vi.mocked(files.readFile).mockClear());

/** Another process under the number of one that ran before. */
const other: Owner = { ...owner, started: `${Number(owner.started) + 1}` };

it.runIf(process.platform === "linux")(
  "an owner lives while its process does, and no later one",
  async () => {
    expect(await mayLive(folder, owner)).toBe(true);
    expect(await mayLive(folder, other)).toBe(false);
    expect(await mayLive(folder, { ...owner, pid: 2 ** 22 + 1 })).toBe(false);
  },
);

it.runIf(process.platform === "linux")("an owner whose process cannot be looked at may live", async () => {
  const error = Object.assign(new Error("too many open files"), { code: "EMFILE" });
  vi.mocked(files.readFile).mockRejectedValueOnce(error);
  expect(await mayLive(folder, owner)).toBe(true);
  // Nor does one count as dead that could not be looked at when it took the lock.
  expect(await mayLive(folder, { ...owner, started: "" })).toBe(true);
});

it("an owner that has ended its claim does not live", async () => {
  await end(folder);
  expect(await mayLive(folder, owner)).toBe(process.platform !== "linux");
});
