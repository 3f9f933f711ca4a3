/** The runtimes that are told apart. "browser" is a page or one of its Workers, Electron's windows included. */
export type Runtime = "browser" | "bun" | "deno" | "node" | "workerd" | "other";

interface Globals {
  document?: unknown;
  Bun?: unknown;
  Deno?: unknown;
  WorkerGlobalScope?: unknown;
  process?: { versions?: { node?: string; chrome?: string } };
  navigator?: { userAgent?: string };
}

/** Which runtime this is, by its globals. They are read when it is called: nothing is at import time. */
export function currentRuntime(): Runtime {
  const { document, Bun, Deno, WorkerGlobalScope, process, navigator } = globalThis as Globals;
  if (navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  if (Bun !== undefined) return "bun";
  if (Deno !== undefined) return "deno";
  // Electron's windows have both.
  if (process?.versions?.node !== undefined)
    return process.versions.chrome === undefined ? "node" : "browser";
  return document !== undefined || WorkerGlobalScope !== undefined ? "browser" : "other";
}

/** True in a page and in its Workers: fetch is the browser's, with its rules of origin. */
export function isInPage(): boolean {
  return currentRuntime() === "browser";
}

/** True in Node, Deno and Bun: a process with an environment and files, on a machine that may run a server. */
export function isNodeLike(): boolean {
  return ["node", "deno", "bun"].includes(currentRuntime());
}

/**
 * True where fetch sends a body while it is made: Node, Deno, Bun, workerd. Browsers don't over HTTP/1.1: Chromium fails, Firefox sends the
 * text "[object ReadableStream]", Safari refuses. The API of `Request` alone does not tell.
 */
export function canStreamRequests(): boolean {
  return !isInPage();
}
