import type { BoxHandle, ExecInfo, Execution } from "boxrun";
import { make, say, seconds } from "./dom.js";
import { OutputView } from "./output-view.js";

/** For how long output may be taken in before the page gets its turn. */
const TURN_MS = 8;
/** Number of commands that are shown of those that ran before. */
const EARLIER = 30;

/** A command that was started from the page. */
export interface Running {
  /** Ends the command, once it runs if it is still being started. */
  cancel(): Promise<void>;
  /** Resolves when the command has ended, and rejects when it could not be run or watched to its end. */
  readonly ended: Promise<void>;
}

/** The commands of one box and what they printed. Several may run at once. */
export class Transcript {
  private readonly running = new Set<Running>();
  private generation = 0;

  constructor(
    private readonly list: HTMLElement,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Removes all that is shown. */
  clear(): void {
    this.generation++;
    this.list.replaceChildren();
  }

  /** Shows the commands that a box remembers, in place of what was there. */
  async show(box: BoxHandle): Promise<void> {
    this.clear();
    const { generation } = this;
    const earlier = (await box.executions()).slice(0, EARLIER).reverse();
    if (generation !== this.generation) return;
    const entries = earlier.map(({ cmd }) => this.entry(cmd.at(-1) ?? "", true));
    // Before those that were started meanwhile.
    this.list.prepend(...entries.map(({ item }) => item));
    this.list.scrollTop = this.list.scrollHeight;
    for (const [at, info] of earlier.entries()) {
      if (generation !== this.generation) return;
      const entry = entries[at]!;
      const took = info.finishedAt ? info.finishedAt.getTime() - info.createdAt.getTime() : undefined;
      const execution = await box.execution(info.id);
      if (info.finishedAt) {
        for await (const event of execution) {
          if (event.type === "exit") break;
          entry.output.append(event.stream, event.data);
        }
      }
      entry.end(describe(info.status, info.exitCode), hasFailed(info), took);
      entry.output.flush();
    }
  }

  /** Ends the command that was started last, of those that run. */
  async cancelLast(): Promise<void> {
    await [...this.running].at(-1)?.cancel();
  }

  /** Runs a command and shows its output as it comes. */
  run(box: BoxHandle, command: string): Running {
    const entry = this.entry(command, false);
    this.list.append(entry.item);
    this.list.scrollTop = this.list.scrollHeight;
    const started = box.execStream(command);
    const ended = this.watch(started, entry).finally(() => this.running.delete(running));
    const running: Running = { ended, cancel: async () => void (await (await started).cancel()) };
    this.running.add(running);
    entry.cancel.addEventListener("click", () => void running.cancel().catch(this.onError));
    return running;
  }

  private async watch(
    started: PromiseLike<Execution>,
    entry: ReturnType<Transcript["entry"]>,
  ): Promise<void> {
    const begun = performance.now();
    const took = () => performance.now() - begun;
    try {
      const execution = await started;
      let turn = performance.now();
      for await (const event of execution) {
        if (event.type === "exit") {
          const info = await execution.info();
          entry.output.flush();
          entry.end(describe(info.status, event.exitCode), hasFailed(info), took());
          break;
        }
        entry.output.append(event.stream, event.data);
        if (performance.now() - turn < TURN_MS) continue;
        await new Promise((resolve) => setTimeout(resolve));
        turn = performance.now();
      }
    } catch (error) {
      entry.end("failed", true, took());
      throw error;
    } finally {
      entry.output.flush();
    }
  }

  private entry(command: string, earlier: boolean) {
    const outcome = make("small", "", earlier ? "" : "running…");
    const cancel = make("button", "cancel", "Cancel");
    cancel.type = "button";
    cancel.hidden = earlier;
    const pre = make("pre", "");
    const head = make("div", "head", make("code", "", `$ ${command}`), outcome, cancel);
    const item = make("li", earlier ? "earlier" : "", head, pre);
    const end = (how: string, failed: boolean, ms: number | undefined) => {
      outcome.textContent = `${failed ? "✗ " : ""}${how}${ms === undefined ? "" : `, ${seconds(ms)}`}`;
      outcome.className = failed ? "failed" : "";
      // It is gone in a moment, and the focus must not go with it.
      if (document.activeElement === cancel) document.getElementById("command")?.focus();
      cancel.hidden = true;
      if (!earlier) say(`${command}: ${how}`);
    };
    return { item, output: new OutputView(pre, this.list), end, cancel };
  }
}

function describe(status: string, exitCode: number | null): string {
  if (exitCode !== null) return `exit code ${exitCode}`;
  return status === "error" ? "interrupted: its box has ended" : status;
}

/** Whether a command has failed by itself: not by a press of Stop or Cancel. */
function hasFailed({ status, exitCode }: ExecInfo): boolean {
  return exitCode !== 0 && status !== "canceled";
}
