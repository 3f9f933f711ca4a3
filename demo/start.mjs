/**
 * `npm start`: makes a box on this machine, runs a few commands in it, then serves the playground, and on the next port the origin for its previews.
 * With --once it ends after the first part.
 */
import { once } from "node:events";
import { parseArgs } from "node:util";
import { BoxRunClient } from "boxrun";
import { COMMANDS } from "./commands.mjs";
import { PREVIEW, SITE, serveFolder } from "./static-server.mjs";

const { port: wantedPort, once: onlyOnce } = readArguments(process.argv.slice(2));

const client = new BoxRunClient({ backend: "local", local: { persistent: false } });
const begun = performance.now();
const box = await client.create("tiny", { name: "hello" });
console.log(`create("tiny")  ${(performance.now() - begun).toFixed(0)} ms  (${box.info.local?.image})\n`);

for (const cmd of COMMANDS) {
  const at = performance.now();
  const { stdout, stderr, exitCode } = await box.exec(cmd);
  console.log(`$ ${cmd}`);
  process.stdout.write(stdout + stderr);
  console.log(`  exit code ${exitCode}, ${(performance.now() - at).toFixed(0)} ms\n`);
}
await client.close();

if (!onlyOnce) {
  const root = new URL("..", import.meta.url);
  // Any free port, where the playground has one.
  const previews = await listen(serveFolder(root, PREVIEW), wantedPort && wantedPort + 1);
  const settings = JSON.stringify({ previewUrl: `${previews}/` });
  const page = await listen(serveFolder(root, SITE, { "/settings.json": settings }), wantedPort);
  console.log(`The playground: ${page}/`);
  console.log(`Its previews come from ${previews}. Ctrl-C ends both.`);
}

/** Resolves to the address of a server that listens on a port of this machine. */
async function listen(server, port) {
  server.listen(port, "127.0.0.1");
  await once(server, "listening").catch((error) => {
    console.error(`cannot listen on port ${port} (${error.code}): try --port N, which takes N and N + 1`);
    process.exit(1);
  });
  return `http://127.0.0.1:${server.address().port}`;
}

function readArguments(args) {
  try {
    const options = { once: { type: "boolean", default: false }, port: { type: "string", default: "8080" } };
    const { values } = parseArgs({ args, options });
    if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65534)
      throw new Error("--port takes a number from 0 to 65534");
    return { port: Number(values.port), once: values.once };
  } catch (error) {
    // Node's message has its first sentence for us; the rest is about other programs.
    console.error(`${error.message.split(/\.\s/)[0]}\nusage: npm start -- [--once] [--port N]`);
    process.exit(2);
  }
}
