import { execFileSync } from "node:child_process";
import { describe, expect, it, vi } from "vitest";
import { shellCommand } from "../../src/exec/shell-template.js";
import { BoxRunClient, type ShellValue } from "../../src/index.js";
import { failure } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

const made = ({ raw }: TemplateStringsArray, ...values: unknown[]) => shellCommand(raw, values);
/** Output of a command in this machine's shell. */
const output = (command: string) => execFileSync("/bin/sh", ["-c", command], { encoding: "utf8" });

const HOSTILE = [
  "$(echo no)",
  "`echo no`",
  "$HOME $(",
  "'; echo no; '",
  '"; echo no; "',
  "a\nb\n",
  "-n --help",
  "back\\slash\\",
  "* ? [a] ~ {a,b}",
  "#no",
  "if",
  "\u{1f600} é",
  "",
];

const UNSAFE = "stands where it cannot be quoted safely";

describe("a command of a template", () => {
  it("has each value as one word, whatever is in it", () => {
    for (const value of HOSTILE) {
      expect(output(made`printf '%s|' ${value} x`)).toBe(`${value}|x|`);
      expect(output(made`printf '%s|' --a=${value}b`)).toBe(`--a=${value}b|`);
    }
    expect(output(made`printf '%s|' ${HOSTILE}`)).toBe(HOSTILE.map((one) => `${one}|`).join(""));
  });

  it.each<[string, () => string, string]>([
    ["numbers and booleans", () => made`printf '%s|' ${1.5} ${-2} ${3n} ${true}`, "1.5|-2|3|true|"],
    ["an empty array", () => made`printf '%s|' a ${[]} b`, "a|b|"],
    ["values side by side", () => made`printf '%s|' ${"a b"}${"c"}`, "a bc|"],
    ["a substitution in quotes", () => made`printf '%s|' "it's $(printf '%s' ${'"x"'})"`, 'it\'s "x"|'],
    ["nested quotes before", () => made`printf '%s|' "a'" 'b"' \' \" ${"c d"}`, "a'|b\"|'|\"|c d|"],
    ["a number sign in a word", () => made`printf '%s|' a#' ' $# ${"b"}`, "a# |0|b|"],
    ["a here-document before", () => made`cat <<E; printf '%s|' ${"x"}`, "x|"],
    ["arithmetic", () => made`printf '%s|' $((2 * (${-3} + 1) << ${1})) ${"a"}`, "-8|a|"],
    ["the patterns of case", () => made`case ${"a b"} in ${"a b"}) printf ${"yes"};; esac`, "yes"],
    ["raw text", () => made`printf 'a\tb\\n'`, "a\tb\\n"],
    [
      "continued lines",
      () => made`printf '%s|' \
      ${["a", "b"]} \
      ${"c"}`,
      "a|b|c|",
    ],
  ])("takes %s", (_what, command, expected) => {
    expect(output(command())).toBe(expected);
  });

  it("takes values in a command of several lines", () => {
    const lines = ["ls -l \\\n  ", " |\\\n  sort"];
    expect(shellCommand(lines, ["a b"])).toBe(lines.join("'a b'"));
    const document = ["x=$(cat <<E\ntext\nE\necho ", ")"];
    expect(shellCommand(document, ["a b"])).toBe(document.join("'a b'"));
  });

  it("takes values after a here-document and after a comment", () => {
    const script = made`# don't
cat <<'E' <<-F | tr a-z A-Z # it's
it's "
E
	the second's
	F
printf '%s|' ${"a b"}`;
    expect(output(script)).toBe("THE SECOND'S\na b|");
  });

  it.each<[string, () => string]>([
    ["is undefined (", () => made`ls ${undefined}`],
    ["is null (", () => made`ls ${null}`],
    ["must be a string, a number, a boolean or an array of them, got object", () => made`ls ${{}}`],
    ["must be a string, a number, a boolean or an array of them, got function", () => made`ls ${() => 1}`],
    ["element 1 of value 1 of the template is undefined", () => made`ls ${["a", undefined]}`],
    ["element 0 of value 1 of the template must be a string", () => made`ls ${[["a"]]}`],
    ["must not contain null characters", () => made`ls ${"a\0b"}`],
    ["stands in quotes", () => made`echo "hello ${"x"}"`],
    ["stands in quotes", () => made`echo 'hello ${"x"}'`],
    ["stands in quotes", () => made`echo "$(echo ")") ${"x"}"`],
    ["stands in a comment", () => made`ls # ${"x"}`],
    ['follows a "$"', () => made`echo $${"x"}`],
    ["must be an integer", () => made`echo $((1 + ${"a[$(id)]"}))`],
    ["must be an integer", () => made`echo $((1 + ${1.5}))`],
    ["stands where it cannot be quoted safely", () => made`echo $'it\'s' ${"x"}`],
    ["stands where it cannot be quoted safely", () => made`echo "$(case a in a) echo "${"x"}";; esac)"`],
    // The shell drops the end of such a line before it looks for tokens.
    [UNSAFE, () => shellCommand(['echo "$\\\n(echo "', '")"'], ["x"])],
    [UNSAFE, () => shellCommand(['echo "$(ca\\\nse a in a) echo "', '";; esac)"'], ["x"])],
    [UNSAFE, () => shellCommand(["cat <\\\n<E\n", "\nE\n"], ["x"])],
    [UNSAFE, () => shellCommand(["cat <<E; echo $(\nE\necho ", ")"], ["x"])],
    ["is an array within a word (put spaces around it)", () => made`rm -rf ${[]}/`],
    ["is an array within a word", () => made`ls --x=${["a", "b"]}`],
    ["is an array within a word", () => made`ls ${["a", "b"]}${"c"}`],
  ])("is refused when a value %s", (message, command) => {
    expect(command).toThrow(message);
    expect(command).toThrow(expect.objectContaining({ code: "VALIDATION_ERROR" }));
  });

  it("is refused when a value stands in a here-document, of whatever form", () => {
    for (const head of ["<<E", "<<-E", "<< 'E'", '<<"E"', "<<\\E", "<<E <<F", "<<E # it's", "<<E''"])
      for (const body of ["", "text\n", "E", " E\n"])
        expect(() => shellCommand([`cat ${head}\n${body}`, ""], ["x"])).toThrow("stands in a here-document");
    expect(() => shellCommand(["cat <<", "\n", ""], ["E", "x"])).toThrow("stands in a here-document");
  });
});

describe("sh", () => {
  async function fakeBox() {
    const backend = new FakeBackend({ programs: { sh: ({ cmd, write }) => write(cmd[2] ?? "") } });
    const start = vi.spyOn(backend, "startExec");
    return { start, box: await new BoxRunClient({ backend }).create("fake") };
  }

  it("runs its template by the shell, with options when they are given", async () => {
    const { start, box } = await fakeBox();
    expect((await box.sh`ls ${"a b"}`).text()).toBe("ls 'a b'");
    const $ = box.sh;
    const inEtc = $({ cwd: "/etc", env: { A: "1" } });
    await inEtc`true`;
    await inEtc`false`;
    expect(start.mock.calls.map(([, { cmd, workdir, env }]) => [cmd, workdir, env])).toEqual([
      [["/bin/sh", "-c", "ls 'a b'"], null, null],
      [["/bin/sh", "-c", "true"], "/etc", { A: "1" }],
      [["/bin/sh", "-c", "false"], "/etc", { A: "1" }],
    ]);
  });

  it("uses an array as it is at the call", async () => {
    const { box } = await fakeBox();
    const paths = ["a"];
    const running = box.sh`ls ${paths}`;
    paths.push("--all");
    expect((await running).text()).toBe("ls 'a'");
  });

  it("rejects what is no template, and starts nothing", async () => {
    const { start, box } = await fakeBox();
    const sh = box.sh as unknown as (...args: unknown[]) => Promise<unknown>;
    for (const argument of ["ls", ["ls"], undefined, null])
      expect(await failure(sh(argument))).toMatchObject({
        code: "VALIDATION_ERROR",
        message: "sh takes a template (as in box.sh`ls`; exec takes a string)",
      });
    const tag = box.sh({}) as unknown as typeof sh;
    expect(await failure(tag("ls"))).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await failure(box.sh`ls ${undefined as unknown as ShellValue}`)).toMatchObject({
      code: "VALIDATION_ERROR",
    });
    expect(await failure(box.sh({ cdw: "/" } as object)`ls`)).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(start).not.toHaveBeenCalled();
  });
});
