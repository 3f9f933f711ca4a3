/** A page of test/runtimes that uses the previews and the network of the site below class/ as somebody would, in a frame, and reports what it saw. */
import { Playground } from "./in-playground.mjs";

const settings = new URLSearchParams(location.search);
const playground = new Playground(document.querySelector("iframe"));
const WGET = "wget -q -O - http://api.example.com/hello";

/** A page of the box, which tells what a visitor sees of it: its heading, its style sheet and its script. */
const pageOf = (heading) =>
  `<!doctype html><title>x</title><link rel="stylesheet" href="style.css"><h1>${heading}</h1>` +
  `<button id="count"></button><script type="module" src="script.js"></script><script>onload = () => {` +
  `count.click(); top.postMessage([document.querySelector("h1").textContent, ` +
  `getComputedStyle(document.body).backgroundColor, count.textContent, location.origin], "*")}</script>`;

/** Resolves to what the next page in the preview tells. */
function shown() {
  return new Promise((resolve) => {
    const listen = ({ data }) => {
      if (!Array.isArray(data)) return;
      removeEventListener("message", listen);
      resolve(data);
    };
    addEventListener("message", listen);
  });
}

async function run() {
  await playground.visit("class/");
  // A public name leads to a server of the test.
  const { contentWindow: page } = playground.frame;
  const { fetch } = page;
  const api = "http://api.example.com/";
  page.fetch = (input, init) => {
    const { href } = new URL(input.url ?? input, page.location.href);
    return href.startsWith(api)
      ? fetch(settings.get("api") + href.slice(api.length), init)
      : fetch(input, init);
  };

  await playground.create("website", "index.html");
  await playground.type(pageOf("one"));
  const first = shown();
  const server = await playground.started(() => playground.find("#run").click());
  const seen = { first: await first };
  const second = shown();
  await playground.type(pageOf("two"));
  seen.changed = await second;

  seen.off = await playground.command(WGET);
  await playground.setNetwork(true);
  seen.on = await playground.command(WGET);
  await playground.setNetwork(false);
  seen.offAgain = await playground.command(WGET);

  playground.find("#stop-program").click();
  seen.ended = await playground.endOf(server);
  await playground.seen(() => playground.find("#preview-frame").hidden);
  seen.note = playground.find("#preview-note").textContent;
  return seen;
}

const report = await run().catch((error) => ({ error: String(error?.stack ?? error) }));
await fetch(settings.get("reports"), { method: "POST", body: JSON.stringify(report) });
