import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "../../root.js";
import { CallError, type Outcome, type Owner, OwnerGone, type Said } from "./owner.js";

/** A Node process that owns boxes in a folder. */
export class ProcessOwner implements Owner {
  private readonly child: ChildProcess;
  private readonly pending = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  private readonly ended: Promise<unknown>;
  private calls = 0;
  private gone = false;

  /** `within`: what is put before the command, to run it somewhere. */
  constructor(
    state: string,
    onSaid: (said: Said) => void = () => {},
    {
      options = {},
      within = [],
      stderr = "inherit",
    }: { options?: object; within?: string[]; stderr?: "inherit" | "ignore" } = {},
  ) {
    const [program, ...args] = [
      ...within,
      process.execPath,
      join(ROOT, "test/local/box-owner.mjs"),
      state,
      JSON.stringify(options),
    ];
    this.child = spawn(program as string, args, { stdio: ["pipe", "pipe", stderr], cwd: ROOT });
    // What is written to one that was killed goes nowhere, as it should.
    this.child.stdin!.on("error", () => {});
    const heard = once(this.child, "close");
    createInterface(this.child.stdout!).on("line", (line) => this.receive(line, onSaid));
    this.ended = heard.then(() => {
      this.gone = true;
      for (const { reject } of this.pending.values()) reject(new OwnerGone("the process has ended"));
      this.pending.clear();
    });
  }

  call<T>(call: string, ...args: unknown[]): Promise<T> {
    if (this.gone) return Promise.reject(new OwnerGone("the process has ended"));
    const id = ++this.calls;
    return new Promise<T>((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.child.stdin!.write(`${JSON.stringify({ id, call, args })}\n`);
    });
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  private receive(line: string, onSaid: (said: Said) => void): void {
    const message = JSON.parse(line) as Said & Outcome & { id?: number };
    if (message.id === undefined) return onSaid(message);
    const call = this.pending.get(message.id);
    this.pending.delete(message.id);
    if (message.error) call?.reject(new CallError(message.error));
    else call?.resolve(message.value as never);
  }
}
