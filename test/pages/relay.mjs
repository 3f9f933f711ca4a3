/** A page of test/runtimes whose boxes have a network by a relay. It reports once what their programs saw. */
import { BoxRunClient } from "boxrun";

const MEGABYTES = 32;

async function visit({ relay, port, closedPort }) {
  const client = new BoxRunClient({ backend: "local", local: { relay, persistent: false } });
  const { wayOut, capabilities } = await client.info();
  const network = { allow: ["web.example.com", "elsewhere.example.org"] };
  const box = await client.create("tiny", { memoryMb: 256, network });
  const run = async (command) => {
    const { stdout, exitCode } = await box.exec(command, { stderr: "stdout", timeoutMs: 120_000 });
    return `${stdout.trim()} (${exitCode})`;
  };
  const web = `http://web.example.com:${port}`;
  const report = {
    way: [wayOut, capabilities.network],
    page: await run(`wget -qO- ${web}/`),
    refused: await run(`wget -qO- http://web.example.com:${closedPort}/ 2>&1 | tail -1`),
    deniedHere: await run("wget -qO- http://other.example.com/ 2>&1 | tail -1"),
    deniedThere: await run("wget -qO- http://elsewhere.example.org/ 2>&1 | tail -1"),
    ends: await run(`printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc web.example.com ${port} | tail -1`),
    sum: await run(`wget -qO- ${web}/${MEGABYTES} | md5sum`),
    sent: await run(`yes | head -c 8388608 > /tmp/sent; wget -qO- --post-file=/tmp/sent ${web}/count`),
    log: (await box.network.log()).map(({ host, verdict, error, message }) => [
      host,
      verdict,
      error,
      message,
    ]),
  };
  const startedMs = performance.now();
  await run(`wget -qO /dev/null ${web}/${MEGABYTES}`);
  const seconds = (performance.now() - startedMs) / 1000;
  await client.close();
  return { ...report, megabytesPerSecond: Math.round(MEGABYTES / seconds) };
}

const settings = await (await fetch("/settings")).json();
const outcome = await visit(settings).catch((error) => ({ error: String(error) }));
await fetch("/report", { method: "POST", body: JSON.stringify(outcome) });
