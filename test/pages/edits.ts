import { BoxRunClient } from "boxrun";
import { memoryVolume } from "boxrun/local";

const EDITS = 10;

/** A program of a playground: answers with a file of its own whenever the one that it reads is another one. */
const PROGRAM = `
  cd /work; seen=
  while :; do
    now=$(cat in)
    if [ "$now" != "$seen" ]; then seen=$now; echo "$now" > out.new; mv out.new out; fi
    usleep 1000
  done`;

/** The edits of a page, and what came of them. */
export interface Edits {
  /** Answers of the program in the box, which should be the edits. */
  answers: string[];
  /** Time that half of the edits took at most, until the answer was here, in ms. */
  medianMs: number;
}

/** Edits a file in a memory volume, as the editor of a playground does, each time until a program in the box has answered by another file. */
export async function editFiles(): Promise<Edits> {
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  const shared = memoryVolume({ "/in": "first" });
  await using box = await client.create("tiny", {
    memoryMb: 256,
    volumes: [{ source: shared, guestPath: "/work" }],
  });
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
  const answers = [await first];
  const tookMs: number[] = [];
  for (let edit = 1; edit <= EDITS; edit++) {
    const at = performance.now();
    await shared.files.write("/in", `edit ${edit}`);
    answers.push(await answered());
    tookMs.push(performance.now() - at);
  }
  life.abort();
  await program.cancel();
  return { answers, medianMs: tookMs.sort((a, b) => a - b)[EDITS / 2]! };
}

/** Answers to all edits. */
export const ANSWERS = ["first\n", ...Array.from({ length: EDITS }, (_, edit) => `edit ${edit + 1}\n`)];
/** The way there, the program's own work and the way back: 100 ms each way. */
export const LIMIT_MS = 200;
