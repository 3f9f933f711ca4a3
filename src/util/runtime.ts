/** What this code runs in, told by its globals: nothing here is read before it is asked for. */
interface Globals {
  document?: unknown;
  Deno?: unknown;
  WorkerGlobalScope?: unknown;
  process?: { versions?: { node?: string; chrome?: string } };
  navigator?: { userAgent?: string };
}

/** True in a page and in its Workers: fetch is the browser's, with its rules of origin. */
export function isInPage(): boolean {
  const { document, Deno, WorkerGlobalScope, process, navigator } = globalThis as Globals;
  if (Deno !== undefined || navigator?.userAgent === "Cloudflare-Workers") return false;
  // Electron's windows have both.
  if (process?.versions?.node !== undefined) return process.versions.chrome !== undefined;
  return document !== undefined || WorkerGlobalScope !== undefined;
}

/**
 * True where fetch sends a body while it is made: Node, Deno, Bun, workerd. Browsers don't over HTTP/1.1: Chromium fails, Firefox sends the
 * text "[object ReadableStream]", Safari refuses. The API of `Request` alone does not tell.
 */
export function canStreamRequests(): boolean {
  return !isInPage();
}
