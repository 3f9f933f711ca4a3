/** The network of the boxes of a page, by the page's fetch and by a relay. The servers are those of network-servers.mjs. */
import { BoxRunClient } from "boxrun";
import { median } from "./statistics.mjs";

const MB = 1_000_000;
const NAME = "api.example.com";
const REQUESTS = 15;
const DOWNLOADS = 3;
const DOWNLOAD_MB = 20;

/** What a network adds to a page, and requests and downloads of curl by the page's fetch. */
async function gateway({ port }) {
  leadToThisMachine(port);
  const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  await (await client.create("debian")).remove({ force: true });
  const before = loadedBytes();
  const box = await client.create("debian", { network: true });
  const network_added_bytes = loadedBytes() - before;
  const run = async (...args) => {
    const begun = performance.now();
    const { stdout, stderr, exitCode } = await box.exec("curl", ["-sS", "-o", "/dev/null", ...args]);
    return { ms: performance.now() - begun, stdout, stderr, exitCode };
  };
  const request = async (url) => {
    const { ms, stdout, stderr, exitCode } = await run("-w", "%{time_total}", url);
    if (exitCode !== 0) throw new Error(`${url}: ${stderr}`);
    return { ms, inside: 1000 * Number(stdout) };
  };
  const urls = { http: `http://${NAME}/`, https: `https://${NAME}/` };
  const figures = { network_added_bytes };

  await request(urls.http);
  const withoutTls = loadedBytes();
  await request(urls.https);
  figures.network_tls_added_bytes = loadedBytes() - withoutTls;
  const times = { refused: [], http: [], https: [] };
  // In turns, so that all have the same machine.
  for (let i = 0; i < REQUESTS; i++) {
    // It ends as soon as curl itself has started.
    times.refused.push({ ms: (await run("http://127.0.0.1:1/")).ms });
    for (const [scheme, url] of Object.entries(urls)) times[scheme].push(await request(url));
  }
  figures.curl_refused_ms_p50 = median(times.refused.map(({ ms }) => ms));
  for (const scheme of Object.keys(urls)) {
    figures[`curl_${scheme}_1kb_ms_p50`] = median(times[scheme].map(({ ms }) => ms));
    figures[`curl_${scheme}_1kb_inside_ms_p50`] = median(times[scheme].map(({ inside }) => inside));
  }
  for (const [scheme, url] of Object.entries(urls)) {
    const speeds = [];
    for (let i = 0; i < DOWNLOADS; i++) {
      const { stdout, stderr } = await run("-w", "%{size_download} %{speed_download}", url + DOWNLOAD_MB);
      const [bytes, speed] = stdout.split(" ").map(Number);
      if (bytes !== DOWNLOAD_MB * MB) throw new Error(`${bytes} bytes came: ${stderr}`);
      speeds.push(speed / MB);
    }
    figures[`fetch_${scheme}_mb_s`] = median(speeds);
  }
  await client.close();
  return figures;
}

/** Downloads by a relay. */
async function relay({ relay }) {
  const client = new BoxRunClient({ backend: "local", local: { persistent: false, relay } });
  const box = await client.create("debian", { network: { allow: [NAME] } });
  const speeds = [];
  for (let i = 0; i <= DOWNLOADS; i++) {
    const args = ["-sS", "-o", "/dev/null", "-w", "%{size_download} %{speed_download}"];
    const { stdout } = await box.exec("curl", [...args, `http://${NAME}/${DOWNLOAD_MB}`], { check: true });
    const [bytes, speed] = stdout.split(" ").map(Number);
    if (bytes !== DOWNLOAD_MB * MB) throw new Error(`${bytes} bytes came`);
    speeds.push(speed / MB);
  }
  await client.close();
  // Without the first, for which the guest has yet to read curl.
  return { relay_http_mb_s: median(speeds.slice(1)) };
}

/** Has the page's fetch take this machine's server for the one that boxes ask for: a page cannot have names of its own. */
function leadToThisMachine(port) {
  const real = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    return url.hostname === NAME ? real(`http://127.0.0.1:${port}${url.pathname}`, init) : real(input, init);
  };
}

/** Bytes, compressed, of the modules of the package that the page has loaded. */
function loadedBytes() {
  return performance
    .getEntriesByType("resource")
    .filter(({ name }) => name.includes("/dist/browser/"))
    .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0);
}

export const pageNetworkWorkloads = { gateway, relay };
