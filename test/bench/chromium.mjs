import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright";
import { serveFolder } from "../../demo/static-server.mjs";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";

/**
 * A Chromium, and the server its pages come from, as a place to measure in.
 * @param {URL} root the folder that is served
 */
export async function openChromium(root) {
  const server = serveFolder(root, {
    "/test/bench/": "test/bench/",
    "/dist/browser/": "dist/browser/",
    "/dist/assets/": "dist/assets/",
    "/node_modules/v86/": "node_modules/v86/",
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;
  const url = `${origin}/test/bench/page.html`;

  const options = { executablePath: findChromium(), args: CHROMIUM_ARGS };
  const profile = mkdtempSync(join(tmpdir(), "boxrun-bench-profile-"));
  // With a profile on disk, as its user's is, where all that a browser keeps is kept.
  const context = await chromium.launchPersistentContext(profile, options);
  const warm = context.browser();
  const open = async () => {
    const page = await context.newPage();
    await page.goto(url);
    return page;
  };
  for (const image of ["tiny", "debian"]) {
    const page = await open();
    await page.evaluate((name) => globalThis.measure("firstOutput", name), image);
    await page.close();
  }

  return {
    version: warm.version(),
    /** That of its pages. */
    origin,

    /** One workload in a fresh page of a browser that has been here before. */
    measure: async (name, count) => {
      const page = await open();
      await page.exposeFunction("cpuMs", () => cpuMs(warm));
      const before = residentMb(warm);
      const result = await page.evaluate(
        ([workload, times]) => globalThis.measure(workload, times),
        [name, count],
      );
      const resident_mb = residentMb(warm) - before;
      await page.close();
      return { ...result, resident_mb };
    },

    /** A workload in a browser that has never been here, with what it fetches. */
    firstVisit: async (name, argument) => {
      const cold = await chromium.launch(options);
      const page = await cold.newPage();
      await page.goto(url);
      const before = server.bytesSent;
      const result = await page.evaluate(
        ([workload, given]) => globalThis.measure(workload, given),
        [name, argument],
      );
      const bytes = server.bytesSent - before;
      await cold.close();
      return { ...result, bytes };
    },

    close: async () => {
      await context.close();
      server.close();
      rmSync(profile, { recursive: true });
    },
  };
}

/** Of all of a browser's processes. */
async function cpuMs(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime * 1000, 0);
}

/** Memory of all of a browser's processes, shared pages counted once, in MiB. */
function residentMb(browser) {
  const root = browser.process?.()?.pid;
  let kb = 0;
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      if (!command.includes("--type=renderer") || (root && pid === String(root))) continue;
      kb += Number(/Pss:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {
      // It has ended in the meantime.
    }
  }
  return kb / 1024;
}
