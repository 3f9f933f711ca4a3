import { createReadStream } from "node:fs";
import { playwright } from "@vitest/browser-playwright";
import type { ViteDevServer } from "vite";
import { defineConfig } from "vitest/config";
import { CHROMIUM_ARGS } from "./scripts/chromium.mjs";

// The contract is run against the built package: what users import is what is tested.
const built = (host: "node" | "browser") =>
  ["local", "remote", "server", "testing", "index"].map((name) => ({
    find: name === "index" ? /^boxrun$/ : `boxrun/${name}`,
    replacement: new URL(`./dist/${host}/${name}.js`, import.meta.url).pathname,
  }));

/** Long files that wait for others as much as they work, and ask nothing of how long that takes: two at a time, after all others but those of the runtimes. */
const SIDE_BY_SIDE = [
  "test/testing/contract/{local,remote-handler,published}.node.test.ts",
  "test/images/debian-{files,image,packages,wheels}.node.test.ts",
  "test/robustness/suites/cpython.node.test.ts",
  "test/robustness/crashes/crashes.node.test.ts",
  "test/local/network/clients.node.test.ts",
  "test/local/volumes/guest.node.test.ts",
  "test/local/network/secrets/secrets.node.test.ts",
  "test/client/{folders,process}.node.test.ts",
  "test/local/assets/{assets,asset-source-browser,asset-source-web}.node.test.ts",
  "test/local/boxes/{ports,warm-pool}.node.test.ts",
  "test/local/guest/guest-state.node.test.ts",
  "test/local/host/page-assets.node.test.ts",
  "test/local/store/{browser-owners,browser-storage,durability,filled-disk,store-crash}.node.test.ts",
  "test/demo/{boxes,projects}.node.test.ts",
  "test/cli/{cli,serve,serve-places}.node.test.ts",
];

/** Tests of the sources that take many seconds each: the agent's processes, fuzzing, the packed package. */
const LONG = [
  "test/{agent,package,robustness}/**/*.test.ts",
  "test/remote/events/events.test.ts",
  "test/local/machine/disk-model.test.ts",
];
const sources = {
  alias: {
    "boxrun/local": new URL("./dist/node/local.js", import.meta.url).pathname,
    "boxrun/unix-agent": new URL("./src/sockets/unix-agent-node.ts", import.meta.url).pathname,
  },
};
const OTHER_HOSTS = ["test/**/*.{node,browser,soak}.test.ts", "test/runtimes", "test/bundlers"];

/** Serves the assets' scripts as hosts of static files do. Vite would change them, and they would not have their hashes. */
const assetsAsTheyAre = {
  name: "assets-as-they-are",
  configureServer: ({ middlewares }: ViteDevServer) => {
    middlewares.use((request, response, next) => {
      const [, file] = /\/dist\/assets\/([\w.-]+\.js)$/.exec(request.url ?? "") ?? [];
      if (file === undefined) return next();
      response.setHeader("content-type", "text/javascript");
      createReadStream(new URL(`./dist/assets/${file}`, import.meta.url))
        .on("error", next)
        .pipe(response);
    });
  },
};

/** Suites of which `npm test` runs a part, or runs them in other runtimes or over servers that differ little: `npm run soak -- --suite runtimes`. */
const SOAK = ["test/{runtimes,testing/contract}/*.soak.test.ts"];
const inRuntimes = (name: string, files: { include: string[]; exclude?: string[] }) => ({
  resolve: {
    alias: [...built("node"), { find: "boxrun/unix-agent", replacement: sources.alias["boxrun/unix-agent"] }],
  },
  test: {
    name,
    ...files,
    // Each waits for its own runtime and server, two at a time, after all others.
    maxWorkers: 2,
    sequence: { groupOrder: 2 },
    globalSetup: "test/runtimes/setup.ts",
    server: { deps: { external: [/\/dist\/node\//] } },
    // Above what the runtimes themselves allow a case.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});

/** Tests of the sources boot no boxes, but for a few: two files at a time, before all others. */
const first = { maxWorkers: 2, sequence: { groupOrder: 0 } };

/** A cold boot on a loaded machine takes seconds; a hang is still found. */
const timeouts = { testTimeout: 60_000, hookTimeout: 60_000 };

/** A test stands in the folder of what it tests, and its name says what it needs: `*.test.ts` the sources, `*.node.test.ts` the built package, `*.browser.test.ts` a page. */
export default defineConfig({
  test: {
    // Boxes use a core each: files that boot them only make each other slow.
    fileParallelism: false,
    projects: [
      {
        resolve: sources,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: [...OTHER_HOSTS, ...LONG],
          ...first,
          ...timeouts,
        },
      },
      {
        resolve: sources,
        test: { name: "long", include: LONG, exclude: OTHER_HOSTS, ...first, ...timeouts },
      },
      {
        resolve: { alias: built("node") },
        test: {
          name: "node",
          include: ["test/**/*.node.test.ts"],
          exclude: SIDE_BY_SIDE,
          sequence: { groupOrder: 1 },
          server: { deps: { external: [/\/dist\/node\//] } },
          ...timeouts,
        },
      },
      {
        resolve: { alias: built("node") },
        test: {
          name: "side by side",
          include: SIDE_BY_SIDE,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
          server: { deps: { external: [/\/dist\/node\//] } },
          ...timeouts,
        },
      },
      {
        test: {
          name: "bundlers",
          include: ["test/bundlers/*.test.ts"],
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
          // A production build, and a box.
          testTimeout: 180_000,
          hookTimeout: 60_000,
        },
      },
      inRuntimes("runtimes", { include: ["test/runtimes/*.test.ts"], exclude: SOAK }),
      // Not part of `npm test`: see scripts/test.mjs.
      inRuntimes("soak", { include: SOAK }),
      {
        resolve: { alias: built("browser") },
        plugins: [assetsAsTheyAre],
        test: {
          name: "chromium",
          include: ["test/**/*.browser.test.ts"],
          sequence: { groupOrder: 1 },
          ...timeouts,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                executablePath: process.env["BOXRUN_CHROMIUM"] ?? "/usr/bin/chromium",
                args: CHROMIUM_ARGS,
              },
            }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
    ],
  },
});
