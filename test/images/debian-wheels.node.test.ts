import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { type BoxHandle, BoxRunClient } from "boxrun";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const PACKAGES = pathToFileURL(join(ROOT, "wasm/images/debian/packages.mjs")).href;
const FIXTURES = join(ROOT, "test/fixtures/wheels");
/** pip compiles all that it installs, in an emulated machine; a hang is still found. */
const LONG_MS = 600_000;

/** What is installed, and the modules of it that are imported: twenty of Python alone, and three with extensions in C or C++. */
const MODULES = {
  attrs: "attrs",
  cachetools: "cachetools",
  certifi: "certifi",
  colorama: "colorama",
  decorator: "decorator",
  filelock: "filelock",
  idna: "idna",
  iniconfig: "iniconfig",
  itsdangerous: "itsdangerous",
  jinja2: "jinja2",
  platformdirs: "platformdirs",
  pluggy: "pluggy",
  "python-dateutil": "dateutil.parser",
  requests: "requests",
  six: "six",
  tabulate: "tabulate",
  termcolor: "termcolor",
  toml: "toml",
  urllib3: "urllib3",
  xmltodict: "xmltodict",
  "charset-normalizer": "charset_normalizer.md",
  kiwisolver: "kiwisolver._cext",
  markupsafe: "markupsafe._speedups",
} as const;

/** Fetches a page of a server in the same box. */
const FETCH = `
import http.server, threading, requests
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
answer = requests.get(f"http://127.0.0.1:{server.server_port}/page.txt", timeout=30)
print(answer.status_code, answer.headers["content-type"], answer.text)
`;

const USE = `
import jinja2, kiwisolver, dateutil.parser, tabulate, termcolor
print(jinja2.Environment(autoescape=True).from_string("{% for n in ns %}[{{ n }}]{% endfor %}").render(ns=["<b>", 1.5]))
x, y = kiwisolver.Variable("x"), kiwisolver.Variable("y")
solver = kiwisolver.Solver()
for constraint in (x + 2 * y == 10.5, 3 * x - y == 0.7): solver.addConstraint(constraint)
solver.updateVariables()
print(f"{x.value():.15f} {y.value():.15f}")
print(dateutil.parser.parse("19 January 2038, 3:14:08 UTC").isoformat())
print(ascii(termcolor.colored("red", "red", force_color=True)))
print(tabulate.tabulate([["a", 1.25], ["b", 10]], headers=["name", "n"]))
`;

import { ROOT } from "../root.js";

/** The packages of Debian that wheels are made of, or why there are none. */
async function findPackages(): Promise<{ paths: string[] } | { missing: string }> {
  const { fetchPackages, NotFetched }: typeof import("../../wasm/images/debian/packages.mjs") = await import(
    /* @vite-ignore */ PACKAGES
  );
  const locked = JSON.parse(readFileSync(join(FIXTURES, "packages.lock.json"), "utf8"));
  try {
    return { paths: fetchPackages(join(ROOT, ".cache/suites/"), locked) };
  } catch (error) {
    if (error instanceof NotFetched) return { missing: error.message };
    throw error;
  }
}

const packages = await findPackages();

describe.skipIf("missing" in packages)(
  `wheels in debian${"missing" in packages ? ` (${packages.missing})` : ""}`,
  () => {
    let client: BoxRunClient;
    let box: BoxHandle;
    beforeAll(async () => {
      client = new BoxRunClient({ backend: "local", local: { persistent: false } });
      box = await client.create("debian");
      if ("missing" in packages) return;
      for (const path of packages.paths) await box.files.write(`/debs/${basename(path)}`, readFileSync(path));
      await box.files.write("/debs/repack.py", readFileSync(join(FIXTURES, "repack.py")));
      await box.exec("mkdir /wheels && python3 /debs/repack.py /wheels /debs/*.deb", { check: true });
    }, LONG_MS);
    afterAll(() => client?.close());

    const python = (program: string) =>
      box.exec(["python3", "-c", program], { workdir: "/srv", check: true });

    it("are installed by pip without a network, with extensions in C", { timeout: LONG_MS }, async () => {
      const names = Object.keys(MODULES);
      const pip = ["pip", "install", "--no-index", "--find-links", "/wheels", ...names];
      const { stdout, stderr } = await box.exec(pip, { check: true });
      const installed = /^Successfully installed (.*)$/m.exec(stdout)?.[1]?.split(" ") ?? [];
      expect(
        installed
          .map((name) =>
            name
              .replace(/-[^-]*$/, "")
              .replaceAll("_", "-")
              .toLowerCase(),
          )
          .sort(),
      ).toEqual(names.sort());
      expect(stderr).not.toMatch(/error/i);
      const modules = Object.values(MODULES);
      const imported = await python(
        `import importlib\nfor name in ${JSON.stringify(modules)}: print(importlib.import_module(name).__file__)`,
      );
      const files = imported.stdout.trimEnd().split("\n");
      expect(files.filter((file) => !file.startsWith("/usr/local/lib/python3.13/dist-packages/"))).toEqual(
        [],
      );
      expect(files.filter((file) => file.endsWith(".cpython-313-i386-linux-gnu.so"))).toHaveLength(3);
    });

    it("fetch a page of a server in the box", async () => {
      await box.files.write("/srv/page.txt", "a page");
      expect((await python(FETCH)).stdout).toBe("200 text/plain a page\n");
    });

    it("compute, and render, what they do elsewhere", async () => {
      expect((await python(USE)).stdout.trimEnd().split("\n")).toEqual([
        "[&lt;b&gt;][1.5]",
        "1.700000000000000 4.400000000000000",
        "2038-01-19T03:14:08+00:00",
        "'\\x1b[31mred\\x1b[0m'",
        "name        n",
        "------  -----",
        "a        1.25",
        "b       10",
      ]);
    });

    it("are installed into an environment of their own", { timeout: LONG_MS }, async () => {
      await box.exec("python3 -m venv --without-pip /tmp/v", { check: true });
      await box.exec("pip --python /tmp/v/bin/python install --no-index --find-links /wheels six", {
        check: true,
      });
      const { stdout } = await box.exec(["/tmp/v/bin/python", "-c", "import six; print(six.__file__)"], {
        check: true,
      });
      expect(stdout).toBe("/tmp/v/lib/python3.13/site-packages/six.py\n");
      const outside = await box.exec(["/tmp/v/bin/python", "-c", "import toml"]);
      expect(outside.stderr).toContain("ModuleNotFoundError: No module named 'toml'");
    });

    it("are refused, in pip's own words, where they are for another machine", {
      timeout: LONG_MS,
    }, async () => {
      const name = "x-1.0-cp313-cp313-manylinux_2_17_x86_64.whl";
      const { exitCode, stderr } = await box.exec(
        `cp /wheels/six-*.whl /tmp/${name} && pip install /tmp/${name}`,
      );
      expect(exitCode).toBe(1);
      expect(stderr).toContain(`ERROR: ${name} is not a supported wheel on this platform.`);
    });
  },
);
