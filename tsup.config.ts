import { defineConfig } from "tsup";
import { forPages } from "./scripts/for-pages.mjs";

const shared = {
  format: "esm",
  target: "es2022",
  splitting: true,
  // Maps would be four fifths of the code in the package, and name sources that are not in it.
  sourcemap: false,
  clean: false,
  // Else "node:fs" would become "fs", which a bundler of a page looks for.
  removeNodeProtocol: false,
} as const;

const browser = {
  ...shared,
  platform: "browser",
  outDir: "dist/browser",
  minify: true,
  // Self-contained: a page can import these files as they are, from any host of static files.
  noExternal: [/.*/] as RegExp[],
} as const;

/** undici and ws are CommonJS, and ask for Node's modules while they run. */
const REQUIRE = {
  js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);',
};

const unixAgentBeside = {
  name: "unix-agent-beside",
  setup: (build: { onResolve: (options: { filter: RegExp }, callback: () => object) => void }) => {
    build.onResolve({ filter: /^boxrun\/unix-agent$/ }, () => ({ path: "./unix-agent.js", external: true }));
  },
};

export default defineConfig([
  {
    ...shared,
    platform: "node",
    outDir: "dist/node",
    entry: {
      index: "src/index.ts",
      remote: "src/remote.ts",
      local: "src/local-node.ts",
      backend: "src/backend.ts",
      server: "src/server.ts",
      testing: "src/testing.ts",
      "machine-worker": "src/local/machine/worker-node.ts",
      "file-process": "src/local/volumes/file-process-node.ts",
      "make-boot-image": "src/local/host/make-boot-image-node.ts",
      contract: "src/contract.ts",
    },
    external: ["boxrun/local"],
    // Bundled: a machine's thread starts twice as fast from one file as from some eighty, and v86's package is 18 MB of
    // which three files are needed.
    noExternal: [/^(?!boxrun\/|node:)[^./]/],
    esbuildPlugins: [unixAgentBeside],
  },
  {
    ...shared,
    platform: "node",
    outDir: "dist/node",
    // Apart from the others, which must not import anything of Node's at their top: runtimes that only resemble Node load them, too.
    entry: { cli: "src/cli/main.ts", serve: "src/server/node/serve.ts" },
    external: ["boxrun/local"],
    noExternal: [/^(?!boxrun\/|node:)[^./]/],
    esbuildPlugins: [unixAgentBeside],
    banner: REQUIRE,
  },
  {
    ...shared,
    platform: "node",
    outDir: "dist/node",
    entry: { "unix-agent": "src/sockets/unix-agent-node.ts" },
    noExternal: ["undici"],
    splitting: false,
    minify: true,
    banner: REQUIRE,
  },
  {
    ...browser,
    entry: {
      index: "src/index.ts",
      local: "src/local-browser.ts",
      backend: "src/backend.ts",
      server: "src/server.ts",
      testing: "src/testing.ts",
      contract: "src/contract.ts",
    },
    esbuildOptions: (options) => {
      options.alias = { "boxrun/local": "./src/local-browser.ts" };
    },
    esbuildPlugins: [forPages],
  },
  // Apart from the others: files shared with them would be more and smaller, and the root entry larger by half a kilobyte.
  { ...browser, entry: { remote: "src/remote.ts" }, esbuildPlugins: [forPages] },
  {
    ...browser,
    // Among the assets in the end, which are found where no bundler would put it: see scripts/assets.mjs.
    outDir: "dist/worker",
    entry: { "machine-worker": "src/local/machine/worker-browser.ts" },
    // In one file: a Worker starts when the last of its script has come.
    splitting: false,
    sourcemap: false,
    // v86 starts a Worker of its own for timers, from a blob: URL, where it sees that there is such a thing. We give it other timers.
    define: { Worker: "undefined" },
    esbuildPlugins: [
      {
        // v86 looks for Node's modules behind a check at run time; bundlers of a page must not meet them.
        name: "no-node-modules",
        setup: (build) => {
          build.onResolve({ filter: /^(node:|(crypto|fs|perf_hooks)$)/ }, ({ path }) => ({
            path,
            namespace: "empty",
          }));
          build.onLoad({ filter: /.*/, namespace: "empty" }, () => ({ contents: "export default {};" }));
        },
      },
    ],
  },
  // Files for an origin of previews: scripts of pages and of a service worker that must be one file each, and no module.
  {
    ...browser,
    outDir: "dist/preview",
    format: "iife",
    splitting: false,
    outExtension: () => ({ js: ".js" }),
    entry: {
      "preview-frame": "src/preview/frame-browser.ts",
      "preview-worker": "src/preview/worker.ts",
      "preview-socket": "src/preview/socket-browser.ts",
    },
  },
  {
    ...shared,
    platform: "browser",
    outDir: "dist/site",
    minify: true,
    entry: {
      main: "demo/main.ts",
      worker: "demo/worker.ts",
      xterm: "node_modules/@xterm/xterm/css/xterm.css",
    },
    external: [/^boxrun/],
  },
]);
