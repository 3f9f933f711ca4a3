/** What the tests of storage in a real browser call in its pages. */
import { BoxRunClient } from "boxrun";

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

/** An error's fields do not survive the way out of a page. */
async function failure(promise) {
  const error = await promise.then(
    () => undefined,
    (caught) => caught,
  );
  return error && { code: error.code, message: error.message, retryable: error.retryable };
}

/** Runs a command without end; `report` is called with each number that it prints, once a record of that number is durable. */
async function write(box, command) {
  const execution = await box.execStream(command);
  let rest = "";
  for await (const event of execution) {
    if (event.type !== "log") continue;
    const lines = (rest + event.data).split("\n");
    rest = lines.pop();
    for (const line of lines) await globalThis.report(Number(line));
  }
}

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
  write,
  readRecord,
  writeRecord,
  readDisk,
  databases,
  removeDatabase,
  ageDatabase,
  spoilCache,
  client: newClient(),
});
document.documentElement.dataset.ready = "";
