import type { BoxHandle, BoxRunClient, CreateProgress } from "boxrun";
import { takeDraft } from "./draft.js";
import type { EditorView } from "./editor-view.js";
import { ProjectBox } from "./project-box.js";
import { ProjectFiles } from "./project-files.js";
import type { ProjectRecord, ProjectStore } from "./project-store.js";
import type { Running, Transcript } from "./transcript.js";

/** How long a page that is reloaded, or a tab that closes, may take to give back its project. */
const LOCK_MS = 3000;

/** Objects that all projects of the page share, and callbacks by which the page hears of one. */
export interface WorkspaceContext {
  readonly client: BoxRunClient;
  readonly store: ProjectStore;
  readonly editor: EditorView;
  readonly transcript: Transcript;
  /** The files, the box or the program have changed. */
  changed(): void;
  progress(step: CreateProgress): void;
  ports(box: BoxHandle | undefined, ports: readonly number[]): void;
  error(error: unknown): void;
}

/** The project that is open: its files, its box, and the program that Run started. */
export class Workspace {
  readonly files: ProjectFiles;
  readonly box: ProjectBox;
  private program: Running | undefined;
  private isStarting = false;

  private constructor(
    readonly record: ProjectRecord,
    private readonly context: WorkspaceContext,
    files: ProjectFiles,
    /** Gives the project's lock back. */
    private readonly release: () => void,
  ) {
    this.files = files;
    this.box = new ProjectBox(context.client, record, files.volume, () => context.store.save(record), {
      state: () => context.changed(),
      progress: (step) => context.progress(step),
      ports: (ports) => context.ports(this.box.running, ports),
      error: (error) => context.error(error),
    });
  }

  /** Opens a project, whose files are made of texts if it has none. Rejects when another tab has it. */
  static async open(
    record: ProjectRecord,
    first: Readonly<Record<string, string>>,
    context: WorkspaceContext,
  ): Promise<Workspace> {
    const release = await lockProject(record.id);
    if (!release) throw new Error(`“${record.title}” is open in another tab: close it there first`);
    try {
      const files = await ProjectFiles.open(record.id, context.store, first, {
        change: (paths) => {
          context.changed();
          context.editor.follow(paths).catch(context.error);
        },
        error: context.error,
      });
      const workspace = new Workspace(record, context, files, release);
      const draft = takeDraft(record.id);
      if (draft) await files.volume.files.write(draft.path, draft.text);
      record.openedAt = Date.now();
      await context.store.save(record);
      await workspace.box.find();
      return workspace;
    } catch (error) {
      release();
      throw error;
    }
  }

  get isRunning(): boolean {
    return this.program !== undefined;
  }

  /** Opens a file in the editor, and remembers that. */
  async openFile(path: string): Promise<void> {
    await this.context.editor.open(this.files.volume, path);
    this.record.open = path;
    await this.context.store.save(this.record);
  }

  /** Runs the project's command, once more if it runs. Resolves when it has ended; at once while it is being started. */
  async run(): Promise<void> {
    if (this.isStarting) return;
    this.isStarting = true;
    try {
      await this.stopProgram();
      this.program = await this.start(this.record.command);
    } finally {
      this.isStarting = false;
    }
    const { program } = this;
    this.context.changed();
    try {
      await program.ended;
    } finally {
      if (this.program === program) this.program = undefined;
      this.context.changed();
    }
  }

  /** Runs another command. Resolves when it has ended. */
  async command(text: string): Promise<void> {
    await (await this.start(text)).ended;
  }

  /** Ends the program that Run started, if one runs. */
  async stopProgram(): Promise<void> {
    const { program } = this;
    if (!program) return;
    await program.cancel();
    await program.ended.catch(() => {});
  }

  /** Leaves the project: what was typed is kept, and its box stops. */
  async close(): Promise<void> {
    try {
      await this.context.editor.close();
      await this.box.close();
      await this.files.close();
    } finally {
      this.release();
    }
  }

  /** Removes the project, its box and all its files. */
  async remove(): Promise<void> {
    try {
      await this.context.editor.close();
      await this.box.remove();
      await this.files.close();
      await this.context.store.remove(this.record.id);
    } finally {
      this.release();
    }
  }

  private async start(command: string): Promise<Running> {
    await this.context.editor.flush();
    const box = await this.box.ready();
    return this.context.transcript.run(box, command);
  }
}

/** Takes the lock of a project, and returns what gives it back; undefined if another tab keeps it. Browsers without locks have no other tabs. */
function lockProject(id: string): Promise<(() => void) | undefined> {
  if (!navigator.locks) return Promise.resolve(() => {});
  const signal = AbortSignal.timeout(LOCK_MS);
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(`boxrun-project-${id}`, { signal }, () => new Promise<void>((release) => resolve(release)))
      .catch((error) => (signal.aborted ? resolve(undefined) : reject(error)));
  });
}
