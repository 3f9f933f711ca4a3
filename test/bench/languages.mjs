/**
 * Languages in a box: how long a program takes that does next to nothing, a loop of double precision arithmetic, and some ordinary work in Python. The same in Node, in a page, and for the image's own binaries natively.
 */
const LATER_STARTS = 15;
const REPEATS = 3;
/** What the figure of a loop is for, whatever number of rounds was measured. */
const FIGURE_ROUNDS = 100_000;
const MISSING = 127;

const HELLO_C = '#include <stdio.h>\nint main(void) { puts("42"); return 0; }\n';

// A damped oscillator between two wells, 11 operations a round. It comes to rest, so that the way in which a language rounds does not change the result.
const LOOP_C = `#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
  double x = 0.5, v = 0, s = 0;
  int i, n = atoi(argv[1]);
  for (i = 0; i < n; i++) { v += 0.001 * (x - x * x * x - 0.3 * v); x += 0.001 * v; s += x * x; }
  printf("%.9f\\n", s);
  return 0;
}
`;
const LOOP_PYTHON = `
import sys
def loop(n):
    x = 0.5; v = 0.0; s = 0.0
    for i in range(n):
        v += 0.001 * (x - x * x * x - 0.3 * v)
        x += 0.001 * v
        s += x * x
    return s
print("%.9f" % loop(int(sys.argv[1])))
`;
const LOOP_AWK = `BEGIN {
  x = 0.5; v = 0; s = 0
  for (i = 0; i < n; i++) { v += 0.001 * (x - x * x * x - 0.3 * v); x += 0.001 * v; s += x * x }
  printf "%.9f\\n", s
}`;
const loopLua = (n) => `local x, v, s = 0.5, 0.0, 0.0
for i = 1, ${n} do v = v + 0.001 * (x - x * x * x - 0.3 * v); x = x + 0.001 * v; s = s + x * x end
print(string.format("%.9f", s))`;
/** In a function, since variables of the whole script are slower. */
const loopJs = (n) => `function loop(n) {
  let x = 0.5, v = 0, s = 0;
  for (let i = 0; i < n; i++) { v += 0.001 * (x - x * x * x - 0.3 * v); x += 0.001 * v; s += x * x; }
  return s;
}
print(loop(${n}).toFixed(9));`;

function loop(n) {
  let [x, v, s] = [0.5, 0, 0];
  for (let i = 0; i < n; i++) {
    v += 0.001 * (x - x * x * x - 0.3 * v);
    x += 0.001 * v;
    s += x * x;
  }
  return s;
}

// These time themselves and print milliseconds.
const JSON_PYTHON = `
import json, time
rows = [{"id": i, "name": f"user {i}", "score": i * 0.75, "tags": ["red", "green"], "ok": i % 2 == 0} for i in range(11000)]
begun = time.perf_counter()
text = json.dumps(rows)
back = json.loads(text)
took = time.perf_counter() - begun
assert back == rows and 950_000 < len(text) < 1_050_000, len(text)
print(took * 1000)
`;
const REGEX_PYTHON = `
import re, time
line = "{0} 10.1.{1}.{2} GET /items/{0}?page={1} 200 at 2026-11-{3:02} by user{2}@host{1}.example in 0.{2} s\\n"
text = "".join(line.format(i, i % 256, i % 251, 1 + i % 28) for i in range(10400))
begun = time.perf_counter()
addresses = re.findall(r"\\b\\d{1,3}(?:\\.\\d{1,3}){3}\\b", text)
dates = [m.group(3) for m in re.finditer(r"(\\d{4})-(\\d\\d)-(\\d\\d)", text)]
users = set(re.findall(r"[\\w.]+@[\\w.]+", text))
short = re.sub(r"\\s+", " ", text)
took = time.perf_counter() - begun
assert len(addresses) == len(dates) == 10400 and users and short, len(addresses)
assert 950_000 < len(text) < 1_050_000, len(text)
print(took * 1000)
`;
const SQLITE_PYTHON = `
import os, sqlite3, time
connection = sqlite3.connect("/root/bench.db")
connection.execute("create table items (id integer primary key, name text, price real)")
begun = time.perf_counter()
with connection:
    for i in range(10000):
        connection.execute("insert into items (name, price) values (?, ?)", (f"item {i}", i * 0.25))
took = time.perf_counter() - begun
assert connection.execute("select count(*) from items").fetchone() == (10000,)
connection.close()
os.remove("/root/bench.db")
print(took * 1000)
`;

const python = (text) => (n) => ["python3", "-c", text, `${n}`];
/** Whole commands that print 42: the first in a fresh box, and those after it. */
const start = (argv, file) => ({ kind: "start", argv, file });
/** `rounds` of the loop, less a run without any: enough of them to take a second or so in a box. */
const rounds = (count, argv, file) => ({ kind: "loop", count, argv, file });
const inside = (text) => ({ kind: "inside", argv: ["python3", "-c", text] });

/** What is measured; keys begin with the image. */
export const LANGUAGES = {
  "debian.python": start(["python3", "-c", "print(42)"]),
  "debian.qjs": start(["qjs", "-e", "print(42)"]),
  "debian.lua": start(["lua5.4", "-e", "print(42)"]),
  "debian.sqlite3": start(["sqlite3", ":memory:", "select 42"]),
  "debian.tcc_run": start(["tcc", "-run", "/root/hello.c"], ["/root/hello.c", HELLO_C]),
  "debian.tcc_compile_and_run": start(
    ["sh", "-c", "tcc -o /root/hello /root/hello.c && /root/hello"],
    ["/root/hello.c", HELLO_C],
  ),
  "tiny.qjs": start(["qjs", "-e", "print(42)"]),
  "debian.loop_python": rounds(300_000, python(LOOP_PYTHON)),
  "debian.loop_awk": rounds(200_000, (n) => ["awk", "-v", `n=${n}`, LOOP_AWK]),
  "debian.loop_lua": rounds(500_000, (n) => ["lua5.4", "-e", loopLua(n)]),
  "debian.loop_qjs": rounds(500_000, (n) => ["qjs", "-e", loopJs(n)]),
  "debian.loop_tcc": rounds(5_000_000, (n) => ["tcc", "-run", "/root/loop.c", `${n}`], [
    "/root/loop.c",
    LOOP_C,
  ]),
  "tiny.loop_awk": rounds(20_000, (n) => ["awk", "-v", `n=${n}`, LOOP_AWK]),
  "tiny.loop_qjs": rounds(500_000, (n) => ["qjs", "-e", loopJs(n)]),
  "debian.python_json_1mb": inside(JSON_PYTHON),
  "debian.python_regex_1mb": inside(REGEX_PYTHON),
  "debian.python_sqlite_10000": inside(SQLITE_PYTHON),
};

/**
 * One of them, wherever `run` runs it. `{ missing: true }` where the program is not there.
 * @param {string} key
 * @param {(argv: string[]) => Promise<{ exitCode: number, stdout: string, stderr: string }>} run
 * @param {(path: string, text: string) => Promise<unknown>} write makes a file
 */
export async function measureLanguage(key, run, write) {
  const { kind, argv, count, file } = LANGUAGES[key];
  if (file) await write(...file);
  /** @returns {Promise<[number, string]>} */
  const timed = async (command) => {
    const begun = performance.now();
    const { exitCode, stdout, stderr } = await run(command);
    const ms = performance.now() - begun;
    if (exitCode === MISSING) throw new Missing();
    if (exitCode !== 0) throw new Error(`${key} ended with ${exitCode}: ${stderr}`);
    return [ms, stdout];
  };
  const hello = async () => {
    const [ms, stdout] = await timed(argv);
    if (stdout !== "42\n") throw new Error(`${key} printed ${stdout}`);
    return ms;
  };
  const looped = async (n) => {
    const [ms, stdout] = await timed(argv(n));
    const error = Math.abs(Number(stdout) - loop(n));
    if (!(error <= 1e-6 * (1 + loop(n)))) throw new Error(`${key} printed ${stdout}, not ${loop(n)}`);
    return ms;
  };
  try {
    if (kind === "start") return { first: await hello(), times: await repeat(LATER_STARTS, hello) };
    if (kind === "inside")
      return { times: await repeat(REPEATS, async () => Number((await timed(argv))[1])) };
    // The first run of all would also pay for the program's way into memory.
    await looped(0);
    const figure = async () => {
      const without = await looped(0);
      return (((await looped(count)) - without) / count) * FIGURE_ROUNDS;
    };
    return { times: await repeat(REPEATS, figure) };
  } catch (error) {
    if (error instanceof Missing) return { missing: true };
    throw error;
  }
}

class Missing extends Error {}

async function repeat(times, work) {
  const all = [];
  for (let i = 0; i < times; i++) all.push(await work());
  return all;
}

/** The workload: in a fresh box. */
async function language(key) {
  const { BoxRunClient } = await import("boxrun");
  const client = new BoxRunClient({ backend: "local" });
  const box = await client.create(key.slice(0, key.indexOf(".")));
  const { boot } = box.info.local;
  if (boot !== "snapshot") throw new Error(`the box was made by a ${boot} boot: ${box.info.local.warnings}`);
  const measured = await measureLanguage(
    key,
    (argv) => box.exec(argv),
    (path, text) => box.upload(new TextEncoder().encode(text), path),
  );
  await box.remove({ force: true });
  await client.close();
  return measured;
}

export const languageWorkloads = { language };
