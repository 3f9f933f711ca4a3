/** A page of test/runtimes with a box whose development server, livereload, is in a preview. It edits the site, and reports what the previewed page has seen. */
import { BoxRunClient } from "boxrun";
import { installProgram } from "./install-program.mjs";
import { heard } from "./previewed-page.mjs";

const page = (title) => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title><link rel="stylesheet" href="/style.css"></head>
<body><img id="dot" src="dot.svg" alt=""><script type="module" src="/app.js"></script></body>
</html>`;
const style = (color) => `body { color: ${color}; }\n`;
/** In the box. */
const FILES = {
  "/srv/index.html": page("first"),
  "/srv/style.css": style("rgb(1, 2, 3)"),
  "/srv/dot.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="12" height="12"></svg>',
  "/srv/docs/index.html": "<!doctype html>the docs",
  "/srv/data.txt": "0123456789",
  "/srv/lib/part.js": 'export const part = "a module";\n',
  "/srv/app.js": `import { part } from "./lib/part.js";
const seen = { part, title: document.title, kind: document.contentType };
const color = () => getComputedStyle(document.body).color;
const dot = document.getElementById("dot");
await dot.decode();
seen.image = dot.naturalWidth;
seen.color = color();
const range = await fetch("/data.txt", { headers: { range: "bytes=2-5" } });
seen.range = [range.status, range.headers.get("content-range"), await range.text()];
const redirected = await fetch("/docs");
seen.redirected = [new URL(redirected.url).pathname, await redirected.text()];
seen.missing = (await fetch("/none")).status;
parent.postMessage(seen, "*");
const before = seen.color;
requestAnimationFrame(function look() {
  if (color() !== before) parent.postMessage({ title: document.title, color: color() }, "*");
  else requestAnimationFrame(look);
});
`,
};
/** It reloads after each edit at once, though less than three seconds have passed since the last, and not when it has started. */
const SERVE = `from livereload import Server
from livereload.handlers import LiveReloadHandler
LiveReloadHandler.DEFAULT_RELOAD_TIME = 0
server = Server()
server.watch("/srv")
server.serve(root="/srv", port=8080, restart_delay="forever")`;

const { assets, previewUrl, program } = await (await fetch("/settings")).json();
const report = await run().catch((error) => ({ error: String(error?.stack ?? error) }));
await fetch("/report", { method: "POST", body: JSON.stringify(report) });

async function run() {
  await using client = new BoxRunClient({
    backend: "local",
    local: { assets, persistent: false, previewUrl },
  });
  await using box = await client.create("debian", { files: FILES });
  await installProgram(box, program);
  const connected = connections(await box.execStream("python3", ["-c", SERVE]));
  await box.ports.waitFor(8080);
  await using preview = await box.preview(8080);
  const frame = document.createElement("iframe");
  frame.src = preview.url;
  let next = heard();
  document.body.append(frame);
  const first = await next;
  await connected.next();

  next = heard();
  await box.files.write("/srv/style.css", style("rgb(4, 5, 6)"));
  const styled = await next;

  next = heard();
  await box.files.write("/srv/index.html", page("second"));
  const reloaded = await next;
  await connected.next();
  return { first, styled, reloaded: { title: reloaded.title, color: reloaded.color } };
}

/** Yields whenever the server says that a page listens for edits. */
async function* connections(execution) {
  for await (const event of execution) {
    if (event.type !== "log") throw new Error("the server has ended");
    for (const _ of event.data.matchAll(/Browser Connected/g)) yield;
  }
}
