import type {
  BackendEvent,
  BoxInfo,
  BoxSpec,
  ExecInfo,
  ExecSpec,
  Terminal,
  TerminalSpec,
} from "../../../src/backend/backend.js";
import { BoxRunError } from "../../../src/backend/errors.js";
import { BoxRunClient } from "../../../src/index.js";
import { serve } from "../../../src/server/node/serve.js";
import { FakeBackend } from "../../../src/testing.js";
import { concatBytes } from "../../../src/util/bytes.js";
import { type Commands, FAKE_COMMANDS, fakePrograms, SHELL_COMMANDS, STARTS_PATH } from "./commands.js";

/** A server behind the proxy, and what a test knows of it without going through the proxy. */
export interface Target {
  name: string;
  port: number;
  hasStdin: boolean;
  hasTerminals: boolean;
  hasShell: boolean;
  image: string;
  /** How large things are to be, of 1. */
  scale: number;
  commands: Commands;
  newBox(): Promise<string>;
  removeBox(id: string): Promise<void>;
  boxes(): Promise<BoxInfo[]>;
  /** The markers of the commands that one run has started, as often as it has. */
  starts(run: string): Promise<string[]>;
  /** A file; undefined where there is none. */
  read(box: string, path: string): Promise<Uint8Array | undefined>;
  put(box: string, path: string, bytes: Uint8Array): Promise<void>;
  /** What a command has had of its input; undefined where that is not known. */
  received(marker: string): Uint8Array | undefined;
  /** The server as it is after it was started again. Undefined where this is not played. */
  restart?(): void;
  /** Ends what one run had for itself. Resolves to what was left over and should not be. */
  release(): Promise<string[]>;
}

/** What the API's own event stream says to its reader in silence, so often. */
const KEEP_ALIVE_MS = 100;

/** A server of its own over a fake backend, in this process. */
export async function startFake({ extensions }: { extensions: boolean }): Promise<Target> {
  const received = new Map<string, Uint8Array[]>();
  const backend = new CountingBackend(received);
  const server = await serve(backend, { port: 0, extensions, keepAliveMs: KEEP_ALIVE_MS });
  return {
    name: extensions ? "fake" : "fake, plain",
    port: Number(new URL(server.addresses[0] as string).port),
    hasStdin: extensions,
    hasTerminals: true,
    hasShell: false,
    image: "fake",
    scale: 1,
    commands: FAKE_COMMANDS,
    newBox: async () => (await new BoxRunClient({ backend }).create("fake")).id,
    removeBox: (id) => backend.removeBox(id, { force: true }),
    boxes: () => backend.listBoxes({}),
    // All of them: a marker that was damaged on its way counts, too.
    starts: async () => backend.starts,
    read: async (box, path) => {
      try {
        const { stream } = await backend.download(box, path);
        return new Uint8Array(await new Response(stream).arrayBuffer());
      } catch {
        return undefined;
      }
    },
    put: (box, path, bytes) =>
      backend.upload(box, path, new Blob([bytes as Uint8Array<ArrayBuffer>]).stream(), { mode: 0o644 }),
    received: (marker) => concatBytes(received.get(marker) ?? []),
    restart: () => {
      backend.restarted = true;
    },
    release: async () => {
      await server.close();
      const terminals = await settled(() => backend.openTerminals === 0);
      await backend.close();
      return terminals ? [] : [`${backend.openTerminals} terminals are open, and nobody is connected`];
    },
  };
}

/** What a server's own work needs to be done once its connections are closed: some turns of the event loop. */
async function settled(isDone: () => boolean): Promise<boolean> {
  for (let turns = 0; turns < 200 && !isDone(); turns++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  return isDone();
}

/** Remembers what was started, and forgets how it ended when it is "restarted". */
class CountingBackend extends FakeBackend {
  readonly starts: string[] = [];
  restarted = false;

  constructor(received: Map<string, Uint8Array[]>) {
    super({ programs: fakePrograms(received) });
  }

  /** As a machine does, it takes a moment, in which its caller may go away. */
  override async createBox(spec: BoxSpec, options: { signal?: AbortSignal } = {}): Promise<BoxInfo> {
    await new Promise((resolve) => setTimeout(resolve, 2));
    return super.createBox(spec, options);
  }

  override async startExec(boxId: string, spec: ExecSpec): Promise<ExecInfo> {
    // What the client itself runs, to look before it writes, does no harm twice.
    if (spec.cmd[0] !== "/bin/sh") this.starts.push(spec.cmd[1] ?? "");
    return super.startExec(boxId, spec);
  }

  override async attach(
    boxId: string,
    spec: TerminalSpec,
    options: { signal?: AbortSignal },
  ): Promise<Terminal> {
    this.starts.push("terminal");
    return super.attach(boxId, spec, options);
  }

  override async getExec(boxId: string, execId: string): Promise<ExecInfo> {
    const info = await super.getExec(boxId, execId);
    return this.restarted ? { ...info, status: "error", exitCode: null } : info;
  }

  override async *execEvents(
    boxId: string,
    execId: string,
    options: { after: number; signal?: AbortSignal },
  ): AsyncGenerator<BackendEvent, void, undefined> {
    let seq = 0;
    for await (const event of super.execEvents(boxId, execId, options)) {
      seq = event.seq;
      if (this.restarted) break;
      yield event;
      if (event.type === "exit") return;
    }
    yield { type: "exit", exitCode: null, seq };
  }
}

/** A server that runs real boxes. All runs share it, and its one box. */
export async function shareReal(
  name: string,
  baseUrl: string,
  { extensions }: { extensions: boolean },
): Promise<Target & { close(): Promise<void> }> {
  // Past the proxy.
  const client = new BoxRunClient({ backend: "remote", baseUrl });
  const box = await client.create("tiny", { memoryMb: 256 });
  return {
    name,
    port: Number(new URL(baseUrl).port),
    hasStdin: extensions,
    hasTerminals: false,
    hasShell: true,
    image: "tiny",
    scale: 0.5,
    commands: SHELL_COMMANDS,
    newBox: async () => box.id,
    removeBox: async (id) => {
      if (id !== box.id) await (await client.getBox(id)).remove({ force: true });
    },
    boxes: () => client.listBoxes(),
    starts: async (run) => {
      const { stdout } = await box.exec(`touch ${STARTS_PATH}; cat ${STARTS_PATH}`);
      return stdout.split("\n").filter((marker) => marker.startsWith(`${run}-`));
    },
    read: async (_box, path) => {
      try {
        return await (await box.download(path)).bytes();
      } catch (error) {
        if (error instanceof BoxRunError && error.code === "RUNTIME_ERROR") return undefined;
        throw error;
      }
    },
    put: (_box, path, bytes) => box.upload(bytes, path),
    received: () => undefined,
    release: async () => [],
    close: async () => {
      await box.remove({ force: true });
      await client.close();
    },
  };
}
