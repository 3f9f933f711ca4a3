import { readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import type { Page } from "playwright";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ROOT } from "../../root.js";
import { BrowserProfile, type PageScope } from "../browser-profile.js";

// The functions given to `evaluate` run in the page, where these are global.
declare const newClient: PageScope["newClient"];
declare const outcomeOf: PageScope["outcomeOf"];

let profile: BrowserProfile;
beforeEach(async () => {
  profile = await BrowserProfile.create();
});
afterEach(() => profile.close());

const BESIDE = "/dist/assets/";
/** `boxrun/` below the address of the page. */
const BELOW = "/test/pages/boxrun/";
const manifest = JSON.parse(readFileSync(join(ROOT, "dist/assets/manifest.json"), "utf8"));
const WORKER = manifest.worker.file;

/** What a new client's box prints, or why there is none. */
const run = (page: Page, local: object = {}) =>
  page.evaluate(
    (options) =>
      outcomeOf(
        (async () => {
          const client = newClient({ persistent: false, ...options });
          const { stdout } = await client.run("tiny", ["echo", "here"], { memoryMb: 256 });
          await client.close();
          return stdout;
        })(),
      ),
    local,
  );

/** Answers paths that begin so otherwise. */
function answer(beginning: string, give: (response: ServerResponse) => void): void {
  profile.fault = (path, _, response) => {
    if (path.startsWith(beginning)) give(response);
    return path.startsWith(beginning);
  };
}
const html = (response: ServerResponse) =>
  response.setHeader("content-type", "text/html").end("<!doctype html><title>The app</title>");
const missing = (response: ServerResponse) => response.writeHead(404).end();

describe("assets that a page is not told of", () => {
  it.each([
    ["answers 404", missing],
    ["answers any path with its page", html],
  ])("are found below its address where the server %s beside the modules", async (_what, give) => {
    profile.fault = (path, request, response) => {
      if (path.startsWith(BESIDE)) give(response);
      request.url = path.replace(BELOW, BESIDE);
      return path.startsWith(BESIDE);
    };
    expect(await run(await profile.open())).toEqual({ value: "here\n" });
    expect(profile.asked).toContain(`${BELOW}${WORKER}`);
  });

  it("are missed by name in both places, with what to do", async () => {
    profile.fault = (path, _, response) => {
      if (path.startsWith(BESIDE)) html(response);
      if (path.startsWith(BELOW)) missing(response);
      return path.startsWith(BESIDE) || path.startsWith(BELOW);
    };
    const site = `http://127.0.0.1:${profile.port}`;
    const { error } = await run(await profile.open());
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error?.message).toMatch(`manifest.json at ${site}${BESIDE} is not JSON but a page of HTML`);
    expect(error?.message).toMatch(`${site}${BELOW}manifest.json answered 404`);
    expect(error?.message).toMatch("npx boxrun assets");
  });
});

it("an image in a folder of the machine that bundled the page is refused, with what to do", async () => {
  const outcome = await (await profile.open()).evaluate(() => {
    const images = [{ name: "debian", assets: "file:///build/node_modules/image/assets/" }];
    return outcomeOf(newClient({ persistent: false, images }).images());
  });
  expect(outcome.error?.code).toBe("VALIDATION_ERROR");
  expect(outcome.error?.message).toMatch(/file:\/\/\/build.*serve a copy of that folder/);
});

describe("assets that are not those of this version are refused, with what to do", () => {
  it.each([
    [
      "a manifest of another version",
      "manifest.json",
      (response: ServerResponse) => response.end(JSON.stringify({ ...manifest, boxrun: "0.0.9" })),
      /manifest\.json at http.*\/dist\/assets\/ belongs to version 0\.0\.9 of boxrun, and this is \d/,
    ],
    [
      "a manifest of a version whose Worker was elsewhere",
      "manifest.json",
      (response: ServerResponse) => response.end(JSON.stringify({ ...manifest, worker: undefined })),
      /manifest\.json at http.*\/dist\/assets\/ names no script for Workers/,
    ],
    ["no script for Workers", WORKER, missing, /http.*\/dist\/assets\/machine-worker\.\w+\.js answered 404/],
    ["HTML for that script", WORKER, html, /machine-worker\.\w+\.js at http.*\/dist\/assets\/ has \d+ bytes/],
    ["no chunks", "chunks/", missing, /http.*\/dist\/assets\/chunks\/\w+\.bin answered 404/],
  ])("%s", async (_what, file, give, message) => {
    answer(BESIDE + file, give);
    const { error } = await run(await profile.open());
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED", message: expect.stringMatching(message) });
    expect(error?.message).toMatch("npx boxrun assets");
  });
});

describe("a Content-Security-Policy", () => {
  const SCRIPTS = "script-src 'self' 'unsafe-inline'";
  const openWith = (policy: string) => {
    profile.fault = (_, __, response) => {
      response.setHeader("content-security-policy", policy);
      return false;
    };
    return profile.open();
  };

  it("as the guide has it lets a box run", async () => {
    const page = await openWith(`${SCRIPTS} 'wasm-unsafe-eval'; worker-src 'self'`);
    expect(await run(page)).toEqual({ value: "here\n" });
  });

  it.each([
    ["WebAssembly", SCRIPTS, /WebAssembly is refused here.*script-src 'wasm-unsafe-eval'/],
    [
      "Workers",
      `${SCRIPTS} 'wasm-unsafe-eval'; worker-src 'none'`,
      /Content-Security-Policy refuses the machine's Worker, http.*machine-worker.*worker-src 'self'/,
    ],
    [
      "Workers from plain URLs",
      "require-trusted-types-for 'script'",
      /Content-Security-Policy refuses the machine's Worker, http.*machine-worker.*require-trusted-types-for.*"default".*createScriptURL/,
    ],
  ])("that does not permit %s is named, with what it lacks", async (_what, policy, message) => {
    const { error } = await run(await openWith(policy));
    expect(error).toMatchObject({ code: "UNSUPPORTED", message: expect.stringMatching(message) });
  });
});

it("a page whose sandbox has no origin is told that no Worker can be started there", async () => {
  profile.fault = (_, __, response) => {
    response.setHeader("content-security-policy", "sandbox allow-scripts");
    response.setHeader("access-control-allow-origin", "*");
    return false;
  };
  expect((await run(await profile.open())).error).toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringMatching(
      /Content-Security-Policy refuses the machine's Worker, http.*its directive sandbox .*allow-same-origin/,
    ),
  });
});

it("a Worker's script that the server never sends ends in an error that names it and may be tried again", async () => {
  answer(BESIDE + WORKER, () => {});
  const { error } = await run(await profile.open());
  expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED", retryable: true });
  expect(error?.message).toMatch(`${BESIDE}${WORKER}: no data arrived for 8000 ms`);
});

it("a Worker's script whose first request hangs is fetched again", async () => {
  let asked = 0;
  answer(BESIDE + WORKER, (response) => {
    if (asked++ > 0) response.end(readFileSync(join(ROOT, "dist/assets", WORKER)));
  });
  expect(await run(await profile.open())).toEqual({ value: "here\n" });
});

describe("assets on another origin, as a CDN is", () => {
  let cdn: BrowserProfile;
  let assets: string;
  beforeEach(async () => {
    cdn = await BrowserProfile.create();
    assets = `http://127.0.0.1:${cdn.port}${BESIDE}`;
  });
  afterEach(() => cdn.close());

  const share = (response: ServerResponse) => response.setHeader("access-control-allow-origin", "*");

  it("run a box, whose Worker starts from the verified bytes of its script", async () => {
    cdn.fault = (_, __, response) => {
      share(response);
      return false;
    };
    expect(await run(await profile.open(), { assets })).toEqual({ value: "here\n" });
    expect(cdn.asked).toContain(`${BESIDE}${WORKER}`);
    expect(profile.asked.filter((path) => path.startsWith(BESIDE))).toEqual([]);
  });

  it("run a box although each file breaks off at first", async () => {
    const seen = new Set<string>();
    cdn.fault = (path, _, response) => {
      share(response);
      if (seen.has(path)) return false;
      seen.add(path);
      response.writeHead(200, { "content-length": 1e6 });
      response.write("cut", () => response.destroy());
      return true;
    };
    const outcome = await (await profile.open()).evaluate(
      (options) =>
        outcomeOf(
          (async () => {
            const box = await newClient({ persistent: false, ...options }).create("tiny", { memoryMb: 256 });
            const { boot, warnings } = box.info.local ?? {};
            const { exitCode } = await box.exec("echo 3 > /proc/sys/vm/drop_caches; md5sum /usr/bin/busybox");
            return { boot, warnings, exitCode };
          })(),
        ),
      { assets },
    );
    expect(outcome).toEqual({ value: { boot: "snapshot", warnings: [], exitCode: 0 } });
    expect([...seen].filter((path) => path.startsWith(`${BESIDE}chunks/`)).length).toBeGreaterThan(1);
  });

  it("are those of this version's packages on the CDN, an image's own package among them", async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const core = `/npm/boxrun@${version}/dist/assets/`;
    const image = `/npm/@boxrun/image-debian@${version}/assets/`;
    const page = await profile.open();
    const taken: string[] = [];
    await page.route("https://cdn.jsdelivr.net/**", async (route) => {
      const { pathname } = new URL(route.request().url());
      const [place, isImages] = pathname.startsWith(image) ? [image, true] : [core, false];
      const file = pathname.slice(place.length);
      // The package is published without what belongs to the image.
      const isOwn = /debian/.test(file) || file.startsWith("chunks/");
      if (!pathname.startsWith(place) || isOwn !== isImages) return route.fulfill({ status: 404 });
      taken.push(file);
      await route.fulfill({
        path: join(ROOT, "dist/assets", file),
        headers: { "access-control-allow-origin": "*" },
      });
    });
    const outcome = await page.evaluate(() =>
      outcomeOf(
        (async () => {
          const client = newClient({ persistent: false, assets: "cdn" });
          const box = await client.create("python", { memoryMb: 256 });
          const { stdout } = await box.exec("cat /etc/debian_version");
          const images = (await client.images()).map(({ name }) => name);
          return { stdout, images, boot: box.info.local?.boot };
        })(),
      ),
    );
    expect(outcome).toEqual({
      value: { stdout: expect.stringMatching(/^13/), images: ["debian", "tiny"], boot: "snapshot" },
    });
    expect(taken.some((file) => file.startsWith("boot-image-debian-256"))).toBe(true);
  });

  it("start no Worker from a script that is not the one in the manifest", async () => {
    cdn.fault = (path, _, response) => {
      share(response);
      const isScript = path.endsWith(WORKER);
      if (isScript) response.end("postMessage({ type: 'here' })".padEnd(manifest.worker.bytes));
      return isScript;
    };
    expect((await run(await profile.open(), { assets })).error).toMatchObject({
      code: "IMAGE_PULL_FAILED",
      message: expect.stringMatching(/machine-worker\.\w+\.js at http.* does not match its hash/),
    });
  });

  it("that pages may not read are told as such", async () => {
    const { error } = await run(await profile.open(), { assets });
    expect(error).toMatchObject({ code: "IMAGE_PULL_FAILED" });
    expect(error?.message).toMatch(`${assets}manifest.json is on another origin`);
    expect(error?.message).toMatch("access-control-allow-origin");
  });
});
