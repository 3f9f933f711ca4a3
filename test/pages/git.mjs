/** A page of test/runtimes with a box whose git, curl and Python go by a relay. It reports what they said. */
import { BoxRunClient } from "boxrun";
import { cloneAndPush, said } from "./git-commands.mjs";
import { installProgram } from "./install-program.mjs";

const PYTHON = `import ssl, sys, urllib.request as u
trusted = ssl.create_default_context(cafile="/root/ca.pem")
print(u.urlopen(sys.argv[1], context=trusted, timeout=60).read().decode())`;

async function visit({ assets, relay, program, httpPort, httpsPort, authority }) {
  const client = new BoxRunClient({ backend: "local", local: { assets, relay, persistent: false } });
  const box = await client.create("debian", { network: { allow: ["git.example.com"] } });
  await installProgram(box, program);
  await box.files.write("/root/ca.pem", authority);
  const run = (command) => said(box, command);
  const http = `http://git.example.com:${httpPort}/project.git`;
  const https = `https://git.example.com:${httpsPort}/project.git`;
  const report = {
    ...(await cloneAndPush(box, http)),
    trusted: await run(
      `git -c http.sslCAInfo=/root/ca.pem clone -q --depth 1 ${https} shallow && git -C shallow rev-list --count HEAD`,
    ),
    untrusted: await run(`git clone -q ${https} none`),
    curl: await run(`curl -sS --cacert /root/ca.pem ${https}/HEAD`),
    python: await run(["python3", "-c", PYTHON, `${https}/HEAD`]),
  };
  await client.close();
  return report;
}

const settings = await (await fetch("/settings")).json();
const outcome = await visit(settings).catch((error) => ({ error: String(error) }));
await fetch("/report", { method: "POST", body: JSON.stringify(outcome) });
