/** Kinds of runtime. "browser" is a page or one of its Workers, Electron's windows included. */
export type Runtime = "browser" | "bun" | "deno" | "node" | "workerd" | "other";

interface Globals {
  document?: unknown;
  Bun?: unknown;
  Deno?: unknown;
  WorkerGlobalScope?: unknown;
  process?: { versions?: { node?: string; chrome?: string } };
  navigator?: { userAgent?: string };
}

/** Detects the runtime by its globals, which are read on each call and never at import time. */
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

/** Returns true in a page and its Workers, where `fetch` is the browser's, with its same-origin rules. */
export function isInPage(): boolean {
  return currentRuntime() === "browser";
}

/** Returns true in Node, Deno and Bun: a process with an environment and files, on a machine that may run a server. */
export function isNodeLike(): boolean {
  return ["node", "deno", "bun"].includes(currentRuntime());
}

/**
 * Returns true where fetch streams a request body: Node, Deno, Bun, workerd. Browsers do not over HTTP/1.1: Chromium fails, Firefox sends the
 * text "[object ReadableStream]", Safari refuses. The API of `Request` alone does not reveal it.
 */
export function canStreamRequests(): boolean {
  return !isInPage();
}
