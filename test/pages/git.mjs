/** A page of test/runtimes with a box whose git clones and pushes by a relay. It reports what git said. */
import { BoxRunClient } from "boxrun";
import { installProgram } from "./install-program.mjs";

async function visit({ assets, relay, program, httpPort, httpsPort, authority }) {
  const client = new BoxRunClient({ backend: "local", local: { assets, relay, persistent: false } });
  const box = await client.create("debian", { network: { allow: ["git.example.com"] } });
  await installProgram(box, program);
  await box.files.write("/root/ca.pem", authority);
  const run = async (command) => {
    const { stdout, exitCode } = await box.exec(command, { stderr: "stdout", timeoutMs: 60_000 });
    return `${stdout.trim()} (${exitCode})`;
  };
  const http = `http://git.example.com:${httpPort}/project.git`;
  const https = `https://git.example.com:${httpsPort}/project.git`;
  const report = {
    cloned: await run(
      `git clone -q ${http} project && cd project && git fsck --strict && git rev-parse HEAD`,
    ),
    files: await run("cd project && git status --porcelain && ls many | wc -l"),
    pushed: await run(
      `cd project && git -c user.name=Box -c user.email=box@example.com commit -q --allow-empty -m "From a page" && git push -q origin HEAD:box && git rev-parse HEAD`,
    ),
    trusted: await run(
      `git -c http.sslCAInfo=/root/ca.pem clone -q --depth 1 ${https} shallow && git -C shallow rev-list --count HEAD`,
    ),
    untrusted: await run(`git clone -q ${https} none`),
  };
  await client.close();
  return report;
}

const settings = await (await fetch("/settings")).json();
const outcome = await visit(settings).catch((error) => ({ error: String(error) }));
await fetch("/report", { method: "POST", body: JSON.stringify(outcome) });
