import { type BoxHandle, BoxRunClient } from "boxrun";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { elf64 } from "./elf.js";

let client: BoxRunClient;
let box: BoxHandle;
beforeAll(async () => {
  client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  box = await client.create("debian");
});
afterAll(() => client?.close());

/** What a command prints that must succeed, and must say nothing else. */
async function lines(cmd: string[], stdin = ""): Promise<string[]> {
  const { stdout, stderr } = await box.exec(cmd, { stdin, check: true });
  expect(stderr).toBe("");
  return stdout.trimEnd().split("\n");
}

const PYTHON = `import math
for value in (5000.3 % 0.7, math.fmod(1e6, 0.7), int(math.log10(1000)), math.ceil(math.log2(2**29)), float(10**308),
              1/2**1074, math.expm1(1e-10), math.exp(709.7), float("1e308") == 10.0**308):
    print(value)`;

const C = String.raw`#include <math.h>
#include <stdio.h>
int main(void)
{
    printf("%.16g\n%d\n%d\n", fmod(5000.3, 0.7), (int)log10(1000), (int)ceil(log2(pow(2, 29))));
    printf("%.17g\n%g\n%.12g\n", exp(709.7), ldexp(1, -1074), expm1(1e-10));
    return 0;
}`;
const C_PRINTS = [
  "0.2000000000004991",
  "3",
  "29",
  "1.6549840276802644e+308",
  "4.94066e-324",
  "1.00000000005e-10",
];

describe("arithmetic in debian is right", () => {
  it("in Python", async () => {
    expect(await lines(["python3", "-c", PYTHON])).toEqual([
      "0.2000000000004991",
      "0.3000000000634413",
      "3",
      "29",
      "1e+308",
      "5e-324",
      "1.00000000005e-10",
      "1.6549840276802644e+308",
      "True",
    ]);
  });

  it("in Python's times, beyond 32 bits", async () => {
    const program = `import datetime, time
print(time.strftime("%F %T", time.gmtime(2**31)), datetime.datetime.fromtimestamp(2**33, datetime.UTC))`;
    expect(await lines(["python3", "-c", program])).toEqual([
      "2038-01-19 03:14:08 2242-03-16 12:56:32+00:00",
    ]);
  });

  it("in awk", async () => {
    const program = `BEGIN {
      printf "%.16g\\n%.16g\\n%d\\n%.17g\\n%g\\n", 5000.3 % 0.7, 1e20 % 3, log(1000) / log(10) + 1e-9, exp(709.7), 2 ^ -1074
    }`;
    expect(await lines(["awk", program])).toEqual([
      "0.2000000000004991",
      "1",
      "3",
      "1.6549840276802644e+308",
      "4.94066e-324",
    ]);
  });

  it("in Perl", async () => {
    const program = `use POSIX qw(log10 log2 exp expm1 ceil);
      printf "%d\\n%d\\n%.17g\\n%g\\n%.12g\\n", log10(1000), ceil(log2(2 ** 29)), exp(709.7), 2 ** -1074, expm1(1e-10);`;
    expect(await lines(["perl", "-e", program])).toEqual([
      "3",
      "29",
      "1.6549840276802644e+308",
      "4.94066e-324",
      "1.00000000005e-10",
    ]);
  });

  it("in Lua", async () => {
    const program = `print(("%.16g %d %d %.17g %g"):format(
      5000.3 % 0.7, math.floor(math.log(1000, 10)), math.ceil(math.log(2 ^ 29, 2)), math.exp(709.7), 2 ^ -1074))`;
    expect(await lines(["lua5.4", "-e", program])).toEqual([
      "0.2000000000004991 3 29 1.6549840276802644e+308 4.94066e-324",
    ]);
  });

  it("in SQLite", async () => {
    const query =
      "select printf('%!.16g', mod(5000.3, 0.7)), log10(1000), ceil(log2(536870912)), printf('%!.17g', exp(709.7));";
    expect(await lines(["sqlite3", ":memory:", query])).toEqual([
      "0.2000000000004991|3.0|29.0|1.6549840276802644e+308",
    ]);
  });

  it("in JavaScript", async () => {
    const program =
      "console.log(5000.3 % 0.7, Math.log10(1000), Math.ceil(Math.log2(2 ** 29)), Math.exp(709.7), 2 ** -1074, Math.expm1(1e-10))";
    expect(await lines(["qjs", "-e", program])).toEqual([
      "0.2000000000004991 3 29 1.6549840276802644e+308 5e-324 1.00000000005e-10",
    ]);
  });

  it("in C", async () => {
    await box.files.write("/root/numbers.c", C);
    expect(await lines(["tcc", "-run", "-lm", "/root/numbers.c"])).toEqual(C_PRINTS);
    await box.exec(["tcc", "-o", "/root/numbers", "/root/numbers.c", "-lm"], { check: true });
    expect(await lines(["/root/numbers"])).toEqual(C_PRINTS);
  });
});

describe("languages in debian", () => {
  it("C: a program is compiled and run in one, and its arguments and exit code are its own", async () => {
    const program = `#include <stdio.h>
      #include <stdlib.h>
      #include <string.h>
      int main(int argc, char **argv)
      {
          char line[100];
          while (fgets(line, sizeof line, stdin))
              printf("%s %zu %s", argv[1], strlen(line), line);
          return atoi(argv[2]);
      }`;
    await box.files.write("/root/program.c", program);
    const run = await box.exec(["tcc", "-run", "/root/program.c", "got", "7"], { stdin: "a\nbcd\n" });
    expect(run).toMatchObject({ stdout: "got 2 a\ngot 4 bcd\n", stderr: "", exitCode: 7 });
  });

  it("C: an error names its line", async () => {
    await box.files.write("/root/wrong.c", "int main(void)\n{\n    return nothing;\n}\n");
    const { exitCode, stderr } = await box.exec(["tcc", "/root/wrong.c", "-o", "/root/wrong"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("/root/wrong.c:3: error: 'nothing' undeclared");
  });

  it("SQLite: a database is a file that the next one reads", async () => {
    const make = `create table t (name text, n real);
      insert into t values ('a', 1.5), ('b', 2.25), ('ü', 1e300);
      create index by_name on t (name);`;
    expect(await lines(["sqlite3", "/root/t.db"], make)).toEqual([""]);
    expect(
      await lines(["sqlite3", "-json", "/root/t.db", "select sum(n) as n from t where name < 'c'"]),
    ).toEqual(['[{"n":3.75}]']);
    expect(
      await lines(["sqlite3", "/root/t.db", "select name, n from t where n > 2; pragma integrity_check"]),
    ).toEqual(["b|2.25", "ü|1.0e+300", "ok"]);
    const python =
      "import sqlite3; print(sqlite3.connect('/root/t.db').execute('select count(*) from t').fetchone())";
    expect(await lines(["python3", "-c", python])).toEqual(["(3,)"]);
  });

  it("Lua: formats, matches, and reads files", async () => {
    const program = `
      local out = assert(io.open("/root/lua.txt", "w"))
      out:write(string.format("%-6s|%6.2f|%x\\n", "name", 3.14159, 255), "second line\\n")
      out:close()
      for line in io.lines("/root/lua.txt") do print(#line, (line:gsub("%s+", "_"))) end
      local ok, message = pcall(error, { code = 7 })
      print(ok, message.code, 7 // 2, 1 << 40, _VERSION)`;
    await box.files.write("/root/program.lua", program);
    expect(await lines(["lua5.4", "/root/program.lua"])).toEqual([
      "16\tname_|_3.14|ff",
      "11\tsecond_line",
      "false\t7\t3\t1099511627776\tLua 5.4",
    ]);
  });

  it("JavaScript: writes and reads files", async () => {
    const program = `import * as std from "qjs:std";
      const file = std.open("/root/qjs.txt", "w");
      file.puts(JSON.stringify({ n: 1.5, big: String(2n ** 70n) }) + "\\n");
      file.close();
      const { n, big } = JSON.parse(std.loadFile("/root/qjs.txt"));
      std.out.printf("%s %s\\n", n, big);
      std.exit(3);`;
    await box.files.write("/root/program.mjs", program);
    const run = await box.exec(["qjs", "/root/program.mjs"]);
    expect(run).toMatchObject({ stdout: "1.5 1180591620717411303424\n", stderr: "", exitCode: 3 });
  });
});

it("a program for 64 bits is refused by debian's shells, too, and the hint says what would run", async () => {
  await box.files.write("/root/for-x86-64", elf64(), { mode: 0o755 });
  for (const cmd of [
    ["/root/for-x86-64"],
    ["sh", "-c", "/root/for-x86-64"],
    ["bash", "-c", "/root/for-x86-64"],
  ]) {
    const { exitCode, stderr, errorMessage } = await box.exec(cmd);
    expect(exitCode).toBe(126);
    expect(stderr).toMatch(/exec format error/i);
    expect(errorMessage).toMatch(/^exec format error: .*32-bit x86 programs/);
  }
});
