/** Boxes with secrets, and real servers of HTTPS, in a process that trusts their authority. Prints what came of it, as JSON. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { join } from "node:path";
import { BoxRunClient, isBoxRunError } from "boxrun";
import { World } from "../world.js";

const VALUE = "sk-the-real-value";
const HOST = "api.example.com";
const state = join(process.cwd(), "state");
const seen: Record<string, string | undefined>[] = [];
const answer = (request: IncomingMessage, response: ServerResponse) => {
  const { host, authorization } = request.headers;
  seen.push({ host, authorization });
  response.end("welcome\n");
};
const tls = (certificate: string) =>
  createServer({ key: readFileSync("key.pem"), cert: readFileSync(certificate) }, answer);

const world = new World();
await world.add(`${HOST}:443`, tls("cert.pem"));
await world.add("other.example.com:443", tls("cert.pem"));
await world.add("false.example.com:443", tls("self.pem"));
await world.add(
  "silent.example.com:443",
  createServer({ key: readFileSync("key.pem"), cert: readFileSync("cert.pem") }, () => {}),
);
const client = new BoxRunClient({ backend: "local", local: { dialer: world, state } });
const secrets = {
  API_KEY: { value: VALUE, hosts: [HOST, "false.example.com", "denied.example.com", "silent.example.com"] },
};
const network = { deny: ["denied.example.com"] };
const box = await client.create("debian", { name: "keeper", network, secrets });

const sh = async (command: string) => (await box.exec(command, { stderr: "stdout" })).stdout;
const ask = (host: string, more = "") =>
  sh(`curl -sS -m 60 ${more} -H "Authorization: Bearer $API_KEY" https://${host}/`);
const asked = async (host: string, more?: string) => {
  seen.length = 0;
  const text = await ask(host, more);
  return [text, ...seen.map(({ host, authorization }) => `${host} ${authorization}`)];
};
const PYTHON = `import os, urllib.request as u
r = u.Request("https://${HOST}/", headers={"authorization": "Bearer " + os.environ["API_KEY"]})
print(u.urlopen(r, timeout=60).read().decode())`;
const authorities = async () => {
  const bundle = await sh("cat /etc/ssl/certs/ca-certificates.crt");
  const own = (await sh("cat /usr/local/share/ca-certificates/boxrun.crt")).trim();
  return [bundle.split("BEGIN CERTIFICATE").length, bundle.split(own).length - 1];
};
const withoutPlaceholder = (text: string) => text.replaceAll(/boxrun-secret-[0-9a-f]{32}/g, "PLACEHOLDER");
/** Whether any file in a folder has a text. Disks have holes of gigabytes, which grep skips. */
const isKept = (folder: string, text: string) => spawnSync("grep", ["-rqF", text, folder]).status === 0;

const results: Record<string, unknown> = {};
results["curl"] = await asked(HOST);
seen.length = 0;
results["python"] = [(await box.exec("python3", ["-c", PYTHON])).stdout, seen[0]?.["authorization"]];
results["another server"] = (await asked("other.example.com", "-k")).map(withoutPlaceholder);
results["a server that nobody trusts"] = await asked("false.example.com");
results["a server that is denied"] = await asked("denied.example.com");
results["killed while it sends"] = await sh(
  "timeout -s KILL 2 curl -sS -T /dev/zero https://silent.example.com/; echo $?",
);
results["in the box"] = withoutPlaceholder(await sh("printenv API_KEY"));
const before = await authorities();
await box.stop();
results["kept in a file"] = [isKept(state, VALUE), isKept(state, "keeper")];
results["start without"] = await box.start().then(
  () => "started",
  (error) => isBoxRunError(error) && error.code,
);
const again = await client.getOrCreate("keeper", "debian", { secrets });
results["after getOrCreate"] = await asked(HOST);
const after = await authorities();
results["authorities"] = [after[0]! - before[0]!, before[1], after[1]];
results["in texts"] = JSON.stringify([again.info, await again.network.log()]).includes(VALUE);
await again.remove({ force: true });
await client.close();
await world[Symbol.asyncDispose]();
console.log(JSON.stringify(results));
