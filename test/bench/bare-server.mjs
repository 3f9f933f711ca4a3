/**
 * A server of the BoxRun API that does next to nothing: what is measured against it is the client. Prints its address; ends with its parent.
 *
 * Every command prints "hello", but for `["print", BYTES]`, which prints that much. Every file is as long as its name, a number, says.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import { BOX, EXEC, INFO, wireEvents } from "./wire-events.mjs";

const bytesOf = new Map();
/** Those whose events have all been sent. */
const ended = new Set();

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://bench");
  const [, , , , , exec, action] = pathname.split("/");
  if (request.method === "POST" && pathname.endsWith("/exec")) {
    const chunks = await request.toArray();
    const { cmd } = JSON.parse(Buffer.concat(chunks).toString());
    const id = `exec_${String(bytesOf.size).padStart(12, "0")}`;
    bytesOf.set(id, cmd[0] === "print" ? Number(cmd[1]) : 0);
    return json(response, 201, { ...EXEC, id, cmd });
  }
  if (pathname.endsWith("/files/upload")) {
    let length = 0;
    for await (const chunk of request) length += chunk.byteLength;
    return json(response, 200, { ok: true, dest: String(length) });
  }
  if (pathname.endsWith("/files/download")) {
    const { path } = JSON.parse(Buffer.concat(await request.toArray()).toString());
    return file(response, Number(path.slice(1)));
  }
  if (action === "events") {
    await events(response, bytesOf.get(exec));
    ended.add(exec);
    return;
  }
  const end = ended.has(exec) ? { status: "succeeded", exit_code: 0 } : {};
  if (exec) return json(response, 200, { ...EXEC, id: exec, ...end });
  return json(response, 200, pathname === "/v1/info" ? INFO : BOX);
});

async function events(response, bytes) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const chunk of wireEvents(bytes)) if (!response.write(chunk)) await once(response, "drain");
  response.end();
}

async function file(response, bytes) {
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes });
  const chunk = Buffer.alloc(64 * 1024, "x");
  for (let left = bytes; left > 0; left -= chunk.byteLength)
    if (!response.write(chunk.subarray(0, left))) await once(response, "drain");
  response.end();
}

function json(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit(0)).resume();
