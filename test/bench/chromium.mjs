import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { chromium } from "playwright";
import { serveFolder } from "../../demo/static-server.mjs";
import { CHROMIUM_ARGS, findChromium } from "../../scripts/chromium.mjs";

/** A Chromium, and the server its pages come from, as a place to measure in. */
export async function openChromium() {
  const server = serveFolder(new URL("../..", import.meta.url), [
    "/test/bench/",
    "/dist/browser/",
    "/dist/assets/",
    "/node_modules/v86/",
  ]);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/test/bench/page.html`;

  const launch = () => chromium.launch({ executablePath: findChromium(), args: CHROMIUM_ARGS });
  const warm = await launch();
  const context = await warm.newContext();

  return {
    version: warm.version(),

    /** One workload in a fresh page; caches of files are warm. */
    measure: async (name, count) => {
      const page = await context.newPage();
      await page.exposeFunction("cpuMs", () => cpuMs(warm));
      await page.goto(url);
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
      const cold = await launch();
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
      await warm.close();
      server.close();
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
