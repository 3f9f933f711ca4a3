/** A page of test/runtimes with a box whose git clones and pushes by the page's own fetch. It reports what git said. */
import { BoxRunClient } from "boxrun";
import { cloneAndPush } from "./git-commands.mjs";
import { installProgram } from "./install-program.mjs";

const ORIGIN = "https://git.example.com";

async function visit({ assets, program, server }) {
  const real = globalThis.fetch;
  globalThis.fetch = (input, init) => {
    const { href } = new URL(input instanceof Request ? input.url : input, location.href);
    return href.startsWith(ORIGIN) ? real(server + href.slice(ORIGIN.length), init) : real(input, init);
  };
  const client = new BoxRunClient({ backend: "local", local: { assets, persistent: false } });
  const box = await client.create("debian", { network: { allow: ["git.example.com"] } });
  await installProgram(box, program);
  const report = await cloneAndPush(box, `${ORIGIN}/project.git`);
  await client.close();
  return report;
}

const settings = await (await fetch("/settings")).json();
const outcome = await visit(settings).catch((error) => ({ error: String(error) }));
await fetch("/report", { method: "POST", body: JSON.stringify(outcome) });
