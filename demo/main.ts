import { type BoxHandle, BoxRunClient, type Execution } from "boxrun";
import { COMMANDS } from "./commands.mjs";
import { History } from "./history.js";
import { OutputView } from "./output-view.js";

/** For how long output may be taken in before the page gets its turn. */
const TURN_MS = 8;

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const status = element("status");
const log = element("log");
const form = element<HTMLFormElement>("form");
const command = element<HTMLInputElement>("command");
const run = element<HTMLButtonElement>("run");
const cancel = element<HTMLButtonElement>("cancel");

let current: Execution | undefined;
let boxIsGone = false;

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
  const output = new OutputView(item.appendChild(document.createElement("pre")), log);
  log.scrollTop = log.scrollHeight;
  setBusy(true);
  const begun = performance.now();
  const end = (how: string, failed: boolean) => {
    outcome.textContent = `${failed ? "✗ " : ""}${how}, ${Math.round(performance.now() - begun)} ms`;
    outcome.className = failed ? "failed" : "";
  };
  try {
    current = await box.execStream(cmd);
    let turn = performance.now();
    for await (const event of current) {
      if (event.type === "exit") {
        end(event.exitCode === null ? "canceled" : `exit code ${event.exitCode}`, event.exitCode !== 0);
        break;
      }
      output.append(event.stream, event.data);
      if (performance.now() - turn < TURN_MS) continue;
      await new Promise((resolve) => setTimeout(resolve));
      turn = performance.now();
    }
  } catch (error) {
    end("failed", true);
    show("error", messageOf(error));
    boxIsGone = (await box.refresh().catch(() => undefined))?.status !== "running";
  } finally {
    current = undefined;
    output.flush();
    setBusy(false);
  }
}

function setBusy(busy: boolean): void {
  command.disabled = busy || boxIsGone;
  run.disabled = busy || boxIsGone;
  run.hidden = busy;
  cancel.hidden = !busy;
  if (boxIsGone) command.placeholder = "The box has ended. Reload the page for a new one.";
  (busy ? cancel : command).focus({ preventScroll: true });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

cancel.addEventListener("click", () => {
  current?.cancel().catch(() => {});
});

const history = new History();
command.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  event.preventDefault();
  command.value = event.key === "ArrowUp" ? history.back(command.value) : history.forward(command.value);
});

try {
  const begun = performance.now();
  const client = new BoxRunClient({ backend: "local" });
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
    if (cmd === "" || current) return;
    command.value = "";
    history.add(cmd);
    void runCommand(box, cmd);
  });
  for (const cmd of COMMANDS) if (!boxIsGone) await runCommand(box, cmd);
} catch (error) {
  show("error", messageOf(error));
}
