import { type BoxHandle, BoxRunClient, type Execution } from "boxrun";
import { COMMANDS } from "./commands.mjs";

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const status = element("status");
const log = element("log");
const form = element<HTMLFormElement>("form");
const command = element<HTMLInputElement>("command");
const run = element<HTMLButtonElement>("run");
const cancel = element<HTMLButtonElement>("cancel");

let current: Execution | undefined;

function show(state: "creating" | "running" | "error", text: string): void {
  status.dataset["state"] = state;
  status.textContent = text;
}

/** Runs one command and shows its output as it comes. */
async function runCommand(box: BoxHandle, cmd: string): Promise<void> {
  const item = log.appendChild(document.createElement("li"));
  const head = item.appendChild(document.createElement("div"));
  head.appendChild(document.createElement("code")).textContent = `$ ${cmd}`;
  const outcome = head.appendChild(document.createElement("small"));
  outcome.textContent = "running…";
  const output = item.appendChild(document.createElement("pre"));
  setBusy(true);
  const begun = performance.now();
  try {
    current = await box.execStream(cmd);
    for await (const event of current) {
      if (event.type === "exit") {
        const how = event.exitCode === null ? "canceled" : `exit code ${event.exitCode}`;
        outcome.textContent = `${how}, ${Math.round(performance.now() - begun)} ms`;
        break;
      }
      const text = output.appendChild(document.createElement("span"));
      text.className = event.stream;
      text.textContent = event.data;
      output.scrollTop = output.scrollHeight;
    }
  } catch (error) {
    outcome.textContent = "failed";
    show("error", error instanceof Error ? error.message : String(error));
  } finally {
    current = undefined;
    setBusy(false);
    item.scrollIntoView({ block: "nearest" });
  }
}

function setBusy(busy: boolean): void {
  command.disabled = busy;
  run.disabled = busy;
  cancel.hidden = !busy;
  if (!busy) command.focus({ preventScroll: true });
}

cancel.addEventListener("click", () => {
  current?.cancel().catch(() => {});
});

try {
  const begun = performance.now();
  const client = new BoxRunClient();
  const box = await client.create("tiny", {
    name: "hello",
    onProgress: ({ phase }) => show("creating", `Creating a box: ${phase}…`),
  });
  show(
    "running",
    `A box of ${box.info.local?.image} runs. It took ${Math.round(performance.now() - begun)} ms.`,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const cmd = command.value.trim();
    command.value = "";
    if (cmd !== "" && !current) void runCommand(box, cmd);
  });
  for (const cmd of COMMANDS) await runCommand(box, cmd);
} catch (error) {
  show("error", error instanceof Error ? error.message : String(error));
}
