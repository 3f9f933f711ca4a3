/** A page of test/runtimes that shows a server in a box by previews, and reports what the previewed pages have seen. */
import { BoxRunClient } from "boxrun";
import { outcomeOf } from "./box-calls.mjs";
import { heard } from "./previewed-page.mjs";

const APP = `
const seen = {};
seen.posted = await (await fetch("/echo", { method: "POST", body: "a body" })).text();
const redirected = await fetch("/redirect");
seen.root = (await (await fetch("/root")).text()).slice(0, 15);
const early = new WebSocket("ws://" + location.host + "/socket");
early.close();
seen.early = await new Promise((resolve) => {
  early.onopen = () => resolve("open");
  early.onclose = ({ code }) => resolve(code);
});
// More than may be open. It takes a while, so one origin does for it.
const many = location.hostname === "localhost" ? 0 : 257;
const sockets = Array.from({ length: many }, () => new WebSocket("ws://" + location.host + "/never"));
seen.refused = many === 0 ? "not asked" : await Promise.race(sockets.map((one) => new Promise((resolve) => {
  one.onclose = ({ code }) => resolve(code);
})));
for (const one of sockets) one.close();
// Other sides that hear, say nothing and are closed by nobody, as those that hang.
const silent = [1, 2, 3].map(() => new Promise((resolve) => {
  const { port1, port2 } = new MessageChannel();
  navigator.serviceWorker.controller.postMessage({ type: "socket", path: "/never", protocols: [] }, [port2]);
  port1.onmessage = ({ data }) => { if (data.type === "close") resolve(data.code); };
}));
seen.silent = await Promise.all(silent);
seen.redirected = [new URL(redirected.url).pathname, await redirected.text()];
seen.missing = (await fetch("/missing")).status;
seen.origin = location.origin;
try { parent.document.title; seen.application = "reached"; } catch { seen.application = "another origin"; }
const socket = new WebSocket("ws://" + location.host + "/socket");
seen.socket = await new Promise((resolve) => {
  const heard = [socket instanceof WebSocket, WebSocket.OPEN];
  socket.onopen = () => { heard.push("open", socket.readyState); socket.send("over"); };
  socket.onmessage = ({ data }) => heard.push(data);
  socket.onclose = ({ code, reason }) => resolve([...heard, code, reason]);
});
parent.postMessage(seen, "*");
addEventListener("message", () => { location.href = "/second"; });
`;
const SECOND = '<!doctype html><script>parent.postMessage({ second: location.pathname }, "*")</script>';
const FIRST = '<!doctype html><html lang="en"><script type="module" src="/app.js"></script></html>';

/** A server of BusyBox: each connection runs it once. Its WebSocket says what it gets, and closes. */
const SERVER = `#!/bin/sh
cr=$(printf '\\r')
read -r method path rest
length=0
while read -r line; do
  line=\${line%$cr}
  [ -z "$line" ] && break
  case "$line" in
    [Cc]ontent-[Ll]ength:*) length=\${line##*: } ;;
    [Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey:*) key=\${line##*: } ;;
  esac
done
answer() { printf 'HTTP/1.1 %s\\r\\ncontent-type: %s\\r\\nx-frame-options: DENY\\r\\ncontent-security-policy: frame-ancestors none\\r\\nconnection: close\\r\\n\\r\\n' "$1" "$2"; }
case "$path" in
  / | '/?x') answer '200 OK' text/html; cat /srv/first.html ;;
  /second) answer '200 OK' text/html; cat /srv/second.html ;;
  /app.js) answer '200 OK' text/javascript; cat /srv/app.js ;;
  /echo) answer '200 OK' text/plain; head -c "$length" ;;
  /target) answer '200 OK' text/plain; printf target ;;
  /root) printf 'HTTP/1.1 302 Found\\r\\nlocation: http://127.0.0.1:8080?x\\r\\ncontent-length: 0\\r\\n\\r\\n' ;;
  /never) exec cat >/dev/null ;;
  /redirect) printf 'HTTP/1.1 302 Found\\r\\nlocation: http://localhost:8080/target\\r\\ncontent-length: 0\\r\\n\\r\\n' ;;
  /socket)
    accept=$(printf '%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11' "$key" | sha1sum | cut -d' ' -f1 | sed 's/../\\\\x&/g')
    accept=$(printf "$accept" | base64)
    printf 'HTTP/1.1 101 Switching Protocols\\r\\nupgrade: websocket\\r\\nconnection: upgrade\\r\\nsec-websocket-accept: %s\\r\\n\\r\\n' "$accept"
    head -c 10 >/dev/null
    printf '\\201\\005hello\\210\\005\\003\\350bye'
    sleep 1 ;;
  *) answer '404 Not Found' text/plain ;;
esac
`;

// Signs of life are asked for every two seconds, so that a side without any is given up after ten, not after a minute.
const every = globalThis.setInterval;
globalThis.setInterval = (work, ms) => every(work, ms === 15_000 ? 2000 : ms);

const { settings } = await (await fetch("/settings")).json();
const report = await run().catch((error) => ({ error: String(error?.stack ?? error) }));
await fetch("/report", { method: "POST", body: JSON.stringify(report) });

async function run() {
  const reports = {};
  for (const [name, previewUrl] of Object.entries({ ...settings, page: `${location.origin}/` })) {
    await using client = new BoxRunClient({ backend: "local", local: { persistent: false, previewUrl } });
    await using box = await client.create("tiny", {
      memoryMb: 256,
      files: {
        "/srv/first.html": FIRST,
        "/srv/second.html": SECOND,
        "/srv/app.js": APP,
        "/srv/serve": { data: SERVER, mode: 0o755 },
      },
    });
    await box.spawn("nc", ["-lk", "-s", "127.0.0.1", "-p", "8080", "-e", "/srv/serve"], { detached: true });
    await box.ports.waitFor(8080);
    const opened = await outcomeOf(box.preview(8080));
    reports[name] = opened.error ?? (await look(opened.value));
  }
  return reports;
}

/** Shows a preview in a frame, and has its page go to another. */
async function look(preview) {
  const frame = document.createElement("iframe");
  frame.src = preview.url;
  const first = heard();
  document.body.append(frame);
  const seen = await first;
  const then = heard();
  frame.contentWindow.postMessage("go", "*");
  const report = { ...seen, ...(await then), isPreview: `${seen.origin}/` === preview.url };
  frame.remove();
  await preview.close();
  return report;
}
