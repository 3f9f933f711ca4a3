import type {
  Backend,
  BackendEvent,
  BoxInfo,
  BoxSpec,
  ExecInfo,
  ExecSpec,
  UploadSpec,
} from "../../src/backend/backend.js";
import { BoxRunError } from "../../src/backend/errors.js";

/** A backend whose boxes are records: for tests that are about HTTP. A command's events are what `script` gives. */
export class ScriptedBackend implements Backend {
  readonly capabilities = {
    bytes: true,
    cursor: true,
    stdin: true,
    signal: true,
    network: "none",
    volumes: "none",
    attach: "none",
    persistence: true,
    usage: true,
    pull: "none",
    files: "none",
  } as const;
  readonly boxes = new Map<string, BoxInfo>();
  readonly execs = new Map<string, ExecInfo>();
  readonly files = new Map<string, { bytes: Uint8Array; mode: number | undefined }>();
  /** The modes of each upload, as they were told. */
  readonly uploads: Pick<UploadSpec, "mode" | "newMode">[] = [];
  readonly calls: string[] = [];
  readonly stdin: Uint8Array[] = [];
  script: BackendEvent[] = [
    { type: "log", stream: "stdout", bytes: new TextEncoder().encode("hello\n"), seq: 1 },
    { type: "exit", exitCode: 0, seq: 2 },
  ];
  /** Awaited between two events of the script. */
  beforeEvent: (seq: number) => Promise<void> = async () => {};
  readersLeft = 0;

  async info() {
    return {
      backend: "fake",
      description: "a fake",
      maxCpu: 4,
      maxMemoryMb: 2000,
      capabilities: this.capabilities,
    };
  }
  async images() {
    return [{ name: "tiny", aliases: ["alpine"], description: "small", downloadBytes: 1, totalBytes: 2 }];
  }
  async pullImage(): Promise<void> {}

  async createBox(spec: BoxSpec): Promise<BoxInfo> {
    this.calls.push("createBox");
    const id = `box_${String(this.boxes.size).padStart(12, "0")}`;
    const info: BoxInfo = {
      ...spec,
      id,
      status: "running",
      errorCode: null,
      errorMessage: null,
      createdAt: new Date("2026-01-02T03:04:05.678Z"),
      startedAt: new Date("2026-01-02T03:04:06Z"),
      stoppedAt: null,
      local: { image: "a fake", cpus: 1, persistent: false, boot: "cold", warnings: [] },
    };
    this.boxes.set(id, info);
    return info;
  }
  async getBox(idOrName: string): Promise<BoxInfo> {
    const found = [...this.boxes.values()].find(({ id, name }) => id === idOrName || name === idOrName);
    if (!found) throw new BoxRunError("BOX_NOT_FOUND", `there is no box ${idOrName}`);
    return found;
  }
  async listBoxes({ status }: { status?: string }): Promise<BoxInfo[]> {
    return [...this.boxes.values()].filter((box) => status === undefined || box.status === status);
  }
  async stopBox(id: string): Promise<BoxInfo> {
    const box = await this.getBox(id);
    if (box.status !== "running") throw new BoxRunError("BOX_NOT_RUNNING", "it is stopped");
    box.status = "stopped";
    return box;
  }
  async startBox(id: string): Promise<BoxInfo> {
    const box = await this.getBox(id);
    if (box.status === "running") throw new BoxRunError("BOX_ALREADY_RUNNING", "it runs");
    box.status = "running";
    return box;
  }
  async removeBox(id: string, { force }: { force: boolean }): Promise<void> {
    const box = await this.getBox(id);
    if (box.status === "running" && !force) throw new BoxRunError("BOX_ALREADY_RUNNING", "it runs");
    this.calls.push("removeBox");
    this.boxes.delete(box.id);
  }
  async gc({ olderThan }: { olderThan: number }): Promise<number> {
    return olderThan;
  }
  async usage() {
    return { diskBytes: 1, diskLimitBytes: 2, persistent: true };
  }
  async startExec(boxId: string, spec: ExecSpec): Promise<ExecInfo> {
    await this.getBox(boxId);
    const id = `exec_${String(this.execs.size).padStart(12, "0")}`;
    const { cmd, env, workdir, timeoutMs } = spec;
    const times = { createdAt: new Date("2026-01-02T03:04:07Z"), finishedAt: null };
    const info: ExecInfo = {
      id,
      boxId,
      status: "running",
      cmd,
      env,
      workdir,
      timeoutMs,
      exitCode: null,
      errorMessage: null,
      ...times,
    };
    this.execs.set(id, info);
    return info;
  }
  async getExec(_boxId: string, execId: string): Promise<ExecInfo> {
    const found = this.execs.get(execId);
    if (!found) throw new BoxRunError("EXEC_NOT_FOUND", `there is no ${execId}`);
    return found;
  }
  async listExecs(): Promise<ExecInfo[]> {
    return [...this.execs.values()];
  }
  async *execEvents(_boxId: string, execId: string, { after }: { after: number }) {
    try {
      for (const event of this.script) {
        await this.beforeEvent(event.seq);
        if (event.seq > after) yield event;
        if (event.type === "exit") Object.assign(this.execs.get(execId)!, { exitCode: event.exitCode });
      }
    } finally {
      this.readersLeft++;
    }
  }
  waitExec(boxId: string, execId: string): Promise<ExecInfo> {
    return this.getExec(boxId, execId);
  }
  async cancelExec(boxId: string, execId: string): Promise<ExecInfo> {
    const info = await this.getExec(boxId, execId);
    if (info.status !== "running") throw new BoxRunError("EXEC_ALREADY_FINISHED", "it has ended");
    return Object.assign(info, { status: "canceled" });
  }
  async signalExec(_boxId: string, _execId: string, signal: string): Promise<void> {
    this.calls.push(signal);
  }
  async writeStdin(_boxId: string, _execId: string, chunk: Uint8Array): Promise<void> {
    this.stdin.push(chunk);
  }
  async closeStdin(): Promise<void> {
    this.calls.push("closeStdin");
  }
  async fileOperation(): Promise<never> {
    throw new BoxRunError("UNSUPPORTED", "no operations on files");
  }
  async upload(
    _boxId: string,
    path: string,
    body: ReadableStream<Uint8Array>,
    { signal: _, ...modes }: UploadSpec,
  ) {
    const bytes = new Uint8Array(await new Response(body).arrayBuffer());
    this.uploads.push(modes);
    this.files.set(path, { bytes, mode: modes.mode });
  }
  async download(_boxId: string, path: string) {
    const file = this.files.get(path);
    if (!file) throw new BoxRunError("RUNTIME_ERROR", `there is no ${path}`);
    return { size: file.bytes.byteLength, stream: new Response(file.bytes as Uint8Array<ArrayBuffer>).body! };
  }
  async attach(): Promise<never> {
    throw new BoxRunError("UNSUPPORTED", "none");
  }
  async close(): Promise<void> {}
}
