import type { Terminal, TerminalSpec } from "../../backend/backend.js";
import type { Guest } from "../guest/guest.js";
import { requireCommandSize } from "./command-size.js";
import { LocalTerminal } from "./local-terminal.js";
import type { Hold } from "./process-hold.js";

/** The terminals of a box that runs. */
export class BoxTerminals {
  private readonly open = new Set<LocalTerminal>();

  /** `onStuck`: see {@link LocalTerminal}. */
  constructor(
    private readonly guest: Guest,
    private readonly hold: Hold,
    private readonly onStuck: (what: string) => void,
  ) {}

  /** Starts a shell on a terminal. */
  start(
    spec: TerminalSpec & { workdir: string; env: Record<string, string> },
    signal: AbortSignal | undefined,
  ): Promise<Terminal> {
    signal?.throwIfAborted();
    requireCommandSize(spec.shell === null ? [] : [spec.shell], spec.env);
    const { hold, onStuck } = this;
    const onFinished = (finished: LocalTerminal) => this.open.delete(finished);
    const terminal = new LocalTerminal(this.guest, spec, { hold, onStuck, onFinished }, signal);
    this.open.add(terminal);
    return hold(async () => {
      await terminal.started();
      return terminal;
    });
  }

  /** Closes all: an interactive shell ignores TERM. */
  closeAll(): void {
    for (const terminal of this.open) void terminal.close();
  }
}
