/** What the tests of storage in a real browser call in its pages. */
import { BoxRunClient } from "boxrun";
import { boxCalls, outcomeOf } from "./box-calls.mjs";
import { watched } from "./flush-watch.mjs";

const listen = (worker, hear) => worker.addEventListener("message", ({ data }) => hear(data));
globalThis.Worker = watched(Worker, listen, (message) => globalThis.report?.(message));

const newClient = (local = {}) => new BoxRunClient({ backend: "local", local });

async function newClientFrom(site) {
  const copy = await import(`${site}dist/browser/index.js`);
  return new copy.BoxRunClient({ backend: "local" });
}

const settle = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const failure = async (promise) => (await outcomeOf(promise)).error;

const client = newClient();
/** Calls of the page's client, or of another with these options; `report` hears what boxes say. */
const newCalls = (local) =>
  boxCalls(local ? newClient(local) : client, (message) => globalThis.report(message));

/** A box's database, past the SDK. */
async function withDatabase(id, work) {
  const database = await settle(indexedDB.open(`boxrun:${id}`));
  try {
    return await settle(work(database.transaction("keyval", "readwrite").objectStore("keyval")));
  } finally {
    database.close();
  }
}

const readRecord = (id) => withDatabase(id, (store) => store.get("box"));
const writeRecord = (id, record) => withDatabase(id, (store) => store.put(record, "box"));
/** Numbers of the chunks that a box's disk has, and their contents in base64. */
async function readDisk(id) {
  const range = IDBKeyRange.bound(0, Number.MAX_SAFE_INTEGER);
  const numbers = await withDatabase(id, (store) => store.getAllKeys(range));
  const chunks = await withDatabase(id, (store) => store.getAll(range));
  return numbers.map((number, i) => [number, chunks[i].toBase64()]);
}

const databases = async () => (await indexedDB.databases()).map(({ name }) => name);
const removeDatabase = (id) => settle(indexedDB.deleteDatabase(`boxrun:${id}`));
/** As a version to come might. */
const ageDatabase = async (id) => (await settle(indexedDB.open(`boxrun:${id}`, 99))).close();

/** Changes every kept file of the assets whose name begins so. Returns how many. */
async function spoilCache(prefix) {
  const cache = await caches.open("boxrun-assets");
  const spoiled = (await cache.keys()).filter(({ url }) => new URL(url).pathname.startsWith(prefix));
  for (const request of spoiled) await cache.put(request, new Response("damaged"));
  return spoiled.length;
}

Object.assign(globalThis, {
  newClient,
  newClientFrom,
  failure,
  outcomeOf,
  newCalls,
  calls: newCalls(),
  readRecord,
  writeRecord,
  readDisk,
  databases,
  removeDatabase,
  ageDatabase,
  spoilCache,
  client,
});
document.documentElement.dataset.ready = "";
