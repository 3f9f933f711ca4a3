/** The applications of this folder, and how each is built and served. */
import { execFile } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Running, startProcess } from "../runtimes/launch.js";
import { serveApp } from "./serve-app.js";

/** A folder with applications, and in its node_modules the package as it would be published, and the bundlers. */
export type Workspace = string;

/** Address of an application that is being served. */
export interface Served {
  url: string;
  close(): void | Promise<void>;
}

/** An application of a user's, with one bundler. */
export interface App {
  /** Name of the bundler, and what of it is used. */
  name: string;
  /** Folder of the application here. */
  folder: string;
  /** Folder of the application to which `boxrun assets` writes; undefined: it serves the package's own. */
  assets?: string;
  /** Addresses, below that of the application, that show what a box has printed. */
  pages: string[];
  /** Whether every run of the tests runs it, and not only the soak. */
  always: boolean;
  start(folder: string): Promise<Served>;
}

const run = promisify(execFile);
const env = () => ({ ...process.env, NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: undefined });

/** Runs a bundler. What it prints is in the error when it fails. */
async function bundle(folder: string, tool: string, ...args: string[]): Promise<void> {
  await run(join(folder, "../node_modules/.bin", tool), args, { cwd: folder, env: env() });
}

/** Starts a bundler's own server. */
async function startServer(folder: string, tool: string, ...args: string[]): Promise<Served> {
  let process: Running | undefined;
  const url = await new Promise<string>((resolve, reject) => {
    let output = "";
    process = startProcess(join(folder, "../node_modules/.bin", tool), args, {
      cwd: folder,
      env: { NEXT_TELEMETRY_DISABLED: "1", NO_COLOR: "1" },
      onOutput: (text) => {
        output += text;
        const found = /http:\/\/(?:localhost|127\.0\.0\.1):\d+/.exec(output);
        // Next names its address before it answers.
        if (found && /ready/i.test(output)) resolve(found[0]);
      },
    });
    process.ended.then((how) => reject(new Error(`${tool} ended ${how}`)));
  });
  return { url, close: () => process?.stop() };
}

const next = (name: string, always: boolean, ...flags: string[]): App => ({
  name,
  folder: "next",
  assets: "public/boxrun",
  // A client component, the same at a path of two names, and a route handler.
  pages: ["/", "/guide/intro", "/run"],
  always,
  start: async (folder) => {
    await bundle(folder, "next", "build", ...flags);
    return startServer(folder, "next", "start", "--port", "0", "--hostname", "127.0.0.1");
  },
});

const VITE = { folder: "vite", assets: "public/boxrun", pages: ["/"], always: true };

export const APPS: App[] = [
  {
    ...VITE,
    name: "Vite, build",
    start: async (folder) => {
      await bundle(folder, "vite", "build");
      return serveApp(join(folder, "dist"));
    },
  },
  {
    ...VITE,
    name: "Vite, development",
    start: (folder) => startServer(folder, "vite", "--host", "127.0.0.1", "--port", "0"),
  },
  {
    name: "esbuild",
    folder: "esbuild",
    assets: "public/boxrun",
    pages: ["/"],
    always: true,
    start: async (folder) => {
      await bundle(folder, "esbuild", "main.js", "--bundle", "--format=esm", "--outfile=public/main.js");
      return serveApp(join(folder, "public"));
    },
  },
  next("Next.js, Turbopack", true),
  next("Next.js, webpack", false, "--webpack"),
  {
    name: "webpack",
    folder: "webpack",
    assets: "public/boxrun",
    pages: ["/"],
    always: false,
    start: async (folder) => {
      await bundle(folder, "webpack", "./main.js", "--output-path", "public", "--mode", "production");
      return serveApp(join(folder, "public"));
    },
  },
  {
    name: "no bundler",
    folder: "page",
    pages: ["/"],
    always: false,
    start: async (folder) => {
      cpSync(join(folder, "../node_modules/boxrun"), join(folder, "node_modules/boxrun"), {
        recursive: true,
      });
      return serveApp(folder);
    },
  },
];
