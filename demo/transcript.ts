import type { BoxHandle, ExecutionPromise } from "boxrun";
import { make, say, seconds } from "./dom.js";
import { OutputView } from "./output-view.js";

/** For how long output may be taken in before the page gets its turn. */
const TURN_MS = 8;
/** Of the commands that ran before, so many are shown. */
const EARLIER = 30;

/** The commands of one box and what they printed. */
export class Transcript {
  /** The command that runs now, or is being started. */
  private current: ExecutionPromise | undefined;
  private generation = 0;

  constructor(private readonly list: HTMLElement) {}

  /** Shows the commands that a box remembers, in place of what was there. */
  async show(box: BoxHandle): Promise<void> {
    const generation = ++this.generation;
    this.list.replaceChildren();
    const earlier = (await box.executions()).slice(0, EARLIER).reverse();
    for (const info of earlier) {
      if (generation !== this.generation) return;
      const entry = this.add(info.cmd.at(-1) ?? "", true);
      const took = info.finishedAt ? info.finishedAt.getTime() - info.createdAt.getTime() : 0;
      const execution = await box.execution(info.id);
      if (info.finishedAt) {
        for await (const event of execution) {
          if (event.type === "exit") break;
          entry.output.append(event.stream, event.data);
        }
      }
      entry.end(describe(info.status, info.exitCode), info.status !== "succeeded", took);
      entry.output.flush();
    }
  }

  /** True from the call that starts a command to its end. */
  get isRunning(): boolean {
    return this.current !== undefined;
  }

  /** Ends the command that runs now, if one does, and does so once it runs if it is still being started. */
  async cancel(): Promise<void> {
    await (await this.current)?.cancel();
  }

  /** Runs one command and shows its output as it comes. Rejects when it could not be run or watched to its end. */
  async run(box: BoxHandle, command: string): Promise<void> {
    const generation = this.generation;
    const entry = this.add(command, false);
    const begun = performance.now();
    const took = () => performance.now() - begun;
    try {
      this.current = box.execStream(command);
      const execution = await this.current;
      let turn = performance.now();
      for await (const event of execution) {
        if (event.type === "exit") {
          const { status } = await execution.info();
          entry.end(describe(status, event.exitCode), event.exitCode !== 0, took());
          break;
        }
        if (generation === this.generation) entry.output.append(event.stream, event.data);
        if (performance.now() - turn < TURN_MS) continue;
        await new Promise((resolve) => setTimeout(resolve));
        turn = performance.now();
      }
    } catch (error) {
      entry.end("failed", true, took());
      throw error;
    } finally {
      this.current = undefined;
      entry.output.flush();
    }
  }

  private add(command: string, earlier: boolean) {
    const outcome = make("small", "", earlier ? "" : "running…");
    const pre = make("pre", "");
    const head = make("div", "head", make("code", "", `$ ${command}`), outcome);
    this.list.append(make("li", earlier ? "earlier" : "", head, pre));
    this.list.scrollTop = this.list.scrollHeight;
    const end = (how: string, failed: boolean, ms: number) => {
      outcome.textContent = `${failed ? "✗ " : ""}${how}, ${seconds(ms)}`;
      outcome.className = failed ? "failed" : "";
      if (!earlier) say(`${command}: ${how}`);
    };
    return { output: new OutputView(pre, this.list), end };
  }
}

function describe(status: string, exitCode: number | null): string {
  if (exitCode !== null) return `exit code ${exitCode}`;
  return status === "error" ? "cut off" : status;
}
