import { FitAddon } from "@xterm/addon-fit";
import { Terminal as Screen } from "@xterm/xterm";
import type { BoxHandle } from "boxrun";
import { say } from "./dom.js";

type Shell = Awaited<ReturnType<BoxHandle["attach"]>>;

/** Keys that leave the terminal. All others, Tab among them, are for the programs in it. */
const isLeave = ({ key, ctrlKey, shiftKey }: KeyboardEvent) => key === "Enter" && ctrlKey && shiftKey;

/** A shell in a box, on a screen in the page. One at a time; it ends with its shell. */
export class TerminalView {
  private shell: Shell | undefined;
  private opening: Promise<void> | undefined;

  constructor(
    private readonly place: HTMLElement,
    private readonly on: { onEnd: () => void; onLeave: () => void },
  ) {}

  get isOpen(): boolean {
    return this.shell !== undefined;
  }

  /** Opens a shell, unless one is open or being opened. */
  open(box: BoxHandle): Promise<void> {
    if (this.isOpen) return Promise.resolve();
    this.opening ??= this.attach(box).finally(() => {
      this.opening = undefined;
    });
    return this.opening;
  }

  private async attach(box: BoxHandle): Promise<void> {
    const screen = new Screen({
      fontSize: 14,
      fontFamily: getComputedStyle(this.place).fontFamily,
      // Its own red and blue are hard to read on black.
      theme: { red: "#ff6b68", brightRed: "#ff9a98", blue: "#6ea8fe", brightBlue: "#9cc4ff" },
    });
    const fit = new FitAddon();
    screen.loadAddon(fit);
    screen.attachCustomKeyEventHandler((event) => {
      if (!isLeave(event)) return true;
      if (event.type === "keydown") this.on.onLeave();
      return false;
    });
    screen.open(this.place);
    fit.fit();
    let shell: Shell;
    try {
      shell = await box.attach({ cols: screen.cols, rows: screen.rows });
    } catch (error) {
      screen.dispose();
      throw error;
    }
    this.shell = shell;
    const resized = new ResizeObserver(() => fit.fit());
    resized.observe(this.place);
    screen.onResize(({ cols, rows }) => shell.resize(cols, rows));
    const keys = shell.writable.getWriter();
    // What cannot be typed any more is of no use to anybody.
    const type = (typed: string | Uint8Array) => void keys.write(typed).catch(() => {});
    screen.onData(type);
    screen.onBinary((bytes) => type(Uint8Array.from(bytes, (char) => char.charCodeAt(0))));
    screen.focus();
    // A screen that has not drawn what it has holds up the box, not the page.
    const shown = shell.readable.pipeTo(
      new WritableStream({ write: (bytes) => new Promise<void>((drawn) => screen.write(bytes, drawn)) }),
    );
    const ended = Promise.allSettled([shown, shell.exited]);
    void ended.then(([, { status }]) => {
      resized.disconnect();
      screen.dispose();
      if (this.shell === shell) this.shell = undefined;
      say(status === "fulfilled" ? "The terminal has ended" : "The terminal was lost");
      this.on.onEnd();
    });
  }

  async close(): Promise<void> {
    await this.opening?.catch(() => {});
    await this.shell?.close();
    this.shell = undefined;
  }
}
