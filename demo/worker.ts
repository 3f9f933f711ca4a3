/**
 * The page's service worker: it keeps the page's own files for the times without a network. The network comes first; a file that was kept answers when the network
 * does not. Images are not kept here: the SDK keeps them itself.
 */
const CACHE = "boxrun-site";
/** List of the page's files with their hashes, which the build writes. */
const LIST = "files.json";
/** Folder of the images, below the page. */
const ASSETS = "assets/";

const scope = globalThis as unknown as ServiceWorkerScope;
interface ServiceWorkerScope {
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
  addEventListener(type: string, listener: (event: WorkerEvent) => void): void;
}
interface WorkerEvent extends Event {
  request: Request;
  waitUntil(work: Promise<unknown>): void;
  respondWith(response: Promise<Response>): void;
}

/** Names of the page other than its folder: hosts redirect them to others, which may lie outside of the folder. */
const PAGE = /^index(?:\.html)?(?:\?|$)/;
/** Address of the page's folder, which ends in "/". */
const home = new URL("./", location.href).href;

scope.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => scope.skipWaiting())));
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
// The page sends a message each time it has loaded, so that a new version of the site is kept as a whole.
scope.addEventListener("message", (event) => event.waitUntil(keepAll().catch(() => {})));
scope.addEventListener("fetch", (event) => {
  const { url, method } = event.request;
  if (method !== "GET" || !url.startsWith(home) || url.startsWith(home + ASSETS)) return;
  event.respondWith(answer(event.request));
});

/** Fetches every file of the page, unless those that are kept are the same. */
async function keepAll(): Promise<void> {
  const cache = await caches.open(CACHE);
  const list = await fetch(home + LIST, { cache: "no-cache" });
  if (!list.ok) throw new Error(`${list.url} answered ${list.status}`);
  const text = await list.clone().text();
  if ((await (await cache.match(home + LIST))?.text()) === text) return;
  const files = Object.keys(JSON.parse(text) as Record<string, string>);
  await cache.addAll(files.map((file) => new Request(home + file, { cache: "no-cache" })));
  // Last, since it stands for all of them.
  await cache.put(home + LIST, list);
  const wanted = new Set([LIST, ...files].map((file) => home + file));
  for (const request of await cache.keys()) if (!wanted.has(request.url)) await cache.delete(request);
}

async function answer(request: Request): Promise<Response> {
  const isPage = PAGE.test(request.url.slice(home.length));
  const asked = isPage ? new Request(home, { cache: request.cache }) : request;
  const found = await fetch(asked).catch(async (error) => {
    const kept = await (await caches.open(CACHE)).match(asked, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  });
  if (!found.redirected) return found;
  // Browsers do not take for a page what says that it came from another address.
  return new Response(found.body, { status: found.status, headers: found.headers });
}
