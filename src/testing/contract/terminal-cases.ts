import type { Terminal } from "../../index.js";
import type { Context } from "./target.js";
import { failure } from "./tools.js";

/** Longest time that a case waits for a terminal. */
const LIMIT_MS = 50_000;

/** Prompt of a shell of root's. */
const PROMPT = "# ";

export function terminalCases(context: Context): void {
  const { it, expect } = context;

  it("carries what is typed and what is shown, and the shell's exit code", async () => {
    const terminal = await open(context);
    await terminal.type("echo one two\n");
    await terminal.until("\r\none two\r\n");
    await terminal.type(new TextEncoder().encode("echo gr\u00fc\u00df\nexit 5\n"));
    expect(await terminal.rest()).toContain("\r\ngr\u00fc\u00df\r\n");
    expect(await terminal.shell.exited).toBe(5);
  });

  it("is a terminal of the size and kind that was asked for", async () => {
    const terminal = await open(context, { cols: 132, rows: 43, term: "vt100" });
    await terminal.type(
      "stty size; echo $TERM; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && : > /dev/tty && echo all\n",
    );
    await terminal.until("43 132\r\nvt100\r\nall\r\n");
    const { resize } = terminal.shell;
    resize(100, 50);
    await terminal.type("stty size; exit\n");
    expect(await terminal.rest()).toContain("50 100\r\n");
  });

  it("tells a running program of another size", async () => {
    const terminal = await open(context);
    await terminal.type(
      `sh -c 'trap "stty size; exit" WINCH; echo be""gan; while :; do sleep 0.1; done'; exit\n`,
    );
    await terminal.until("began\r\n");
    const wrong = Promise.resolve().then(() => terminal.shell.resize(0, 17));
    expect(await failure(wrong)).toMatchObject({ code: "VALIDATION_ERROR" });
    terminal.shell.resize(61, 17);
    expect(await terminal.rest()).toContain("17 61\r\n");
  });

  it("interrupts, stops and continues commands by its keys", async () => {
    const terminal = await open(context);
    await terminal.type("sh -c 'echo be\"\"gan; exec sleep 1000'\n");
    await terminal.until("began\r\n");
    await terminal.type("\x03");
    // A shell and its command hand the terminal to each other: what is typed meanwhile may go to either.
    await terminal.until(PROMPT);
    await terminal.type('echo st""atus=$?\n');
    await terminal.until("status=130\r\n");
    await terminal.until(PROMPT);
    await terminal.type('sh -c \'echo be""gan; read word; echo g""ot $word\'\n');
    await terminal.until("began\r\n");
    await terminal.type("\x1a");
    await terminal.until("topped");
    await terminal.until(PROMPT);
    await terminal.type("fg\n");
    await terminal.until("read word");
    await terminal.type("word\n");
    await terminal.until("got word\r\n");
    // Before the prompt the terminal still reads lines: it would keep the end that is typed as a NUL, which ends no shell.
    await terminal.until(PROMPT);
    await terminal.type("\x04");
    await terminal.rest();
  });

  it("shows an editor, in which a file is written", async () => {
    const terminal = await open(context);
    await terminal.type("vi /root/by-hand.txt\n");
    await terminal.until("by-hand.txt");
    await terminal.type("ihello from vi\x1b");
    // An escape that keys follow at once is read as the start of a longer one.
    await terminal.until("odified]");
    await terminal.type(":wq\n");
    // An editor drops what it has read of the keys after its own.
    await terminal.until(PROMPT);
    await terminal.type("exit\n");
    await terminal.rest();
    expect(await context.box.files.read("/root/by-hand.txt", "utf8")).toBe("hello from vi\n");
  });

  it("ends what runs on it when it is closed, in its background, too", async () => {
    const terminal = await open(context);
    // Bash ends its jobs in the background when it is hung up, BusyBox leaves them: these get KILL.
    await terminal.type("sleep 4241 &\nsleep 4242\n");
    const are = (count: number) => `[ "$(pgrep -f '^sleep 424[12]' | wc -l)" = ${count} ]`;
    await context.box.exec(`until ${are(2)}; do sleep 0.1; done`, { timeoutMs: LIMIT_MS, check: true });
    const { close, exited } = terminal.shell;
    await close();
    expect(await exited).toBe(null);
    await context.box.exec(`until ${are(0)}; do sleep 0.1; done`, { timeoutMs: LIMIT_MS, check: true });
  });

  it("is one of many, each with its own", async () => {
    const terminals = await Promise.all(Array.from({ length: 5 }, () => open(context)));
    await Promise.all(terminals.map((terminal, at) => terminal.type(`echo num""ber ${at}; exit ${at}\n`)));
    const shown = await Promise.all(terminals.map((terminal) => terminal.rest()));
    for (const [at, text] of shown.entries()) {
      expect(text).toContain(`number ${at}\r\n`);
      expect(text).not.toContain(`number ${(at + 1) % 5}`);
    }
    expect(await Promise.all(terminals.map(({ shell }) => shell.exited))).toEqual([0, 1, 2, 3, 4]);
  });

  it("waits for its reader, holds up no command meanwhile, and loses nothing", async () => {
    const terminal = await open(context);
    await terminal.type("stty -echo; seq 20000; exit\n");
    expect((await context.box.exec("echo meanwhile")).stdout).toBe("meanwhile\n");
    const text = await terminal.rest();
    const lines = text.slice(text.indexOf("\n1\r\n") + 1).split("\r\n");
    expect(lines.slice(0, 20_000).every((line, at) => line === String(at + 1))).toBe(true);
    expect(await terminal.shell.exited).toBe(0);
  });

  it("ends with its box", async () => {
    const box = await context.client.create(context.target.image);
    try {
      const shell = await box.attach();
      await box.stop();
      expect(await shell.exited).toBe(null);
    } finally {
      await box.remove({ force: true });
    }
  });
}

/** A terminal in the shared box, as a person uses it. */
async function open({ box }: Context, options: Parameters<Context["box"]["attach"]>[0] = {}) {
  const shell: Terminal = await box.attach({ ...options, signal: AbortSignal.timeout(LIMIT_MS) });
  const reader = shell.readable.getReader();
  const decoder = new TextDecoder();
  let shown = "";
  /** False once everything has been read. */
  const more = async () => {
    const { done, value } = await reader.read();
    if (value) shown += decoder.decode(value, { stream: true });
    return !done;
  };
  return {
    shell,
    type: async (text: string | Uint8Array) => {
      const writer = shell.writable.getWriter();
      await writer.write(text);
      writer.releaseLock();
    },
    /** Reads until this text is shown, and removes everything up to it. */
    until: async (text: string) => {
      while (!shown.includes(text))
        if (!(await more())) throw new Error(`it ended after ${JSON.stringify(shown)}`);
      shown = shown.slice(shown.indexOf(text) + text.length);
    },
    /** Resolves to everything that it shows until its end. */
    rest: async () => {
      while (await more());
      return shown;
    },
  };
}
