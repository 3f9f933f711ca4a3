import { BoxRunClient } from "boxrun";
import { memoryVolume } from "boxrun/local";
import { expect, it } from "vitest";

const LIMIT_MS = 100;
const EDITS = 10;

/** A program of a playground: prints a file whenever it is another one, and answers with a file of its own. */
const PROGRAM = `
  cd /work; seen=
  while :; do
    now=$(cat in)
    if [ "$now" != "$seen" ]; then seen=$now; echo "$now" > out.new; mv out.new out; fi
    usleep 1000
  done`;

const client = new BoxRunClient({ backend: "local", local: { persistent: false } });

it("carries an edit of the page to a program in the box, and its answer back, within 100 ms", async () => {
  const shared = memoryVolume({ "/in": "first" });
  const volumes = [{ source: shared, guestPath: "/work" }];
  await using box = await client.create("tiny", { memoryMb: 256, volumes });
  const life = new AbortController();
  const watch = shared.files.watch({ signal: life.signal });
  const answered = async () => {
    for (;;) {
      const { value } = await watch.next();
      if (value && value.type === "renamed" && value.path === "/out")
        return shared.files.read("/out", "utf8");
    }
  };
  const first = answered();
  const program = await box.execStream(PROGRAM);
  expect(await first).toBe("first\n");
  const tookMs: number[] = [];
  for (let edit = 1; edit <= EDITS; edit++) {
    const at = performance.now();
    await shared.files.write("/in", `edit ${edit}`);
    expect(await answered()).toBe(`edit ${edit}\n`);
    tookMs.push(performance.now() - at);
  }
  life.abort();
  await program.cancel();
  // The way there, the program's own work and the way back.
  expect(tookMs.sort((a, b) => a - b)[EDITS / 2]).toBeLessThan(2 * LIMIT_MS);
});

it("refuses a directory of the computer, and says what a page has instead", async () => {
  const volumes = [{ hostPath: "/home", guestPath: "/work" }];
  await expect(client.create("tiny", { volumes })).rejects.toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringContaining("memoryVolume"),
  });
});
