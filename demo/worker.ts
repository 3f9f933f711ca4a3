/**
 * Keeps the page's own files for the times without a network: the network first, what was kept when it is not there. The parts of images are
 * the SDK's to keep.
 */
const CACHE = "boxrun-demo";
const KEPT = /^\/(demo\/|dist\/browser\/|dist\/demo\/|$)/;

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

scope.addEventListener("install", (event) => event.waitUntil(scope.skipWaiting()));
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin || !KEPT.test(url.pathname)) return;
  event.respondWith(answer(event.request));
});
// What the page has loaded before this worker was there.
scope.addEventListener("message", (event) => {
  const { data } = event as unknown as MessageEvent<string[]>;
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(data)));
});

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw error;
  }
}
