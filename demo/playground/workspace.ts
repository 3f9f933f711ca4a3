import type { BoxHandle, BoxRunClient, CreateProgress } from "boxrun";
import { dropDraft, keepDraft, readDraft } from "./draft.js";
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
  readonly box: ProjectBox;
  private program: Running | undefined;
  private isStarting = false;

  private constructor(
    readonly record: ProjectRecord,
    private readonly context: WorkspaceContext,
    readonly files: ProjectFiles,
    /** Gives the project's lock back. */
    private readonly release: () => void,
  ) {
    this.box = new ProjectBox(context.client, record, files.volume, {
      state: () => context.changed(),
      progress: (step) => context.progress(step),
      ports: (ports) => context.ports(this.box.running, ports),
      error: (error) => context.error(error),
    });
  }

  /** Opens a project of the store. Rejects when another tab has it, or has removed it. */
  static async open(id: string, context: WorkspaceContext): Promise<Workspace> {
    const { store } = context;
    return Workspace.locked(id, store, async (release) => {
      // Not before there is nobody else who changes it.
      const record = await store.get(id);
      if (!record) throw new Error("This project was removed in another tab");
      return Workspace.with(record, {}, context, release);
    });
  }

  /** Makes a project of texts, and opens it. */
  static async create(
    record: ProjectRecord,
    first: Readonly<Record<string, string>>,
    context: WorkspaceContext,
  ): Promise<Workspace> {
    return Workspace.locked(record.id, context.store, async (release) => {
      await context.store.save(record);
      return Workspace.with(record, first, context, release);
    });
  }

  private static async locked(
    id: string,
    store: ProjectStore,
    work: (release: () => void) => Promise<Workspace>,
  ): Promise<Workspace> {
    const release = await lockProject(id);
    if (!release)
      throw new Error(`“${(await store.get(id))?.title ?? id}” is open in another tab: close it there first`);
    try {
      return await work(release);
    } catch (error) {
      release();
      throw error;
    }
  }

  private static async with(
    record: ProjectRecord,
    first: Readonly<Record<string, string>>,
    context: WorkspaceContext,
    release: () => void,
  ): Promise<Workspace> {
    const files = await ProjectFiles.open(record.id, context.store, first, {
      change: (paths) => {
        context.changed();
        context.editor.follow(paths).catch(context.error);
      },
      saved: () => dropDraft(record),
      error: context.error,
    });
    try {
      const draft = readDraft(record);
      if (draft) await files.volume.files.write(draft.path, draft.text);
      const workspace = new Workspace(record, context, files, release);
      record.openedAt = Date.now();
      await workspace.save();
      await workspace.box.find();
      return workspace;
    } catch (error) {
      files.close();
      throw error;
    }
  }

  get isRunning(): boolean {
    return this.program !== undefined;
  }

  /** Keeps the project's record. Without room in the browser, the project goes on. */
  async save(): Promise<void> {
    await this.context.store.save(this.record).catch(this.context.error);
  }

  /** Opens a file in the editor, and remembers that. */
  async openFile(path: string): Promise<void> {
    await this.context.editor.open(this.files.volume, path);
    this.record.open = path;
    await this.save();
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

  /** Keeps at once what was typed and is not kept yet, as far as a page that goes can do so. */
  keepDraft(): void {
    const { editor } = this.context;
    const { file } = editor;
    if (file && (editor.isUnwritten || this.files.isUnsaved(file.path))) keepDraft(this.record, file);
  }

  /** Leaves the project: its box stops, and everything is kept. Rejects, and leaves it open, when something cannot be. */
  async close(): Promise<void> {
    await this.context.editor.flush();
    await this.files.settle();
    await this.files.save();
    await this.end(async () => {
      await this.box.close();
      await this.files.settle();
      await this.files.save();
    });
  }

  /** Removes the project, its box and all its files. */
  async remove(): Promise<void> {
    await this.end(async () => {
      await this.box.remove();
      // None of it must come after the removal.
      await this.files.save().catch(() => {});
    });
    await this.context.store.remove(this.record.id);
    dropDraft(this.record);
  }

  private async end(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } finally {
      this.context.editor.forget(this.files.volume);
      this.files.close();
      this.release();
    }
  }

  private async start(command: string): Promise<Running> {
    await this.context.editor.flush();
    return this.context.transcript.run(await this.box.ready(), command);
  }
}

/** Takes the lock of a project, and returns what gives it back; undefined if another tab keeps it. Browsers without locks have no other tabs. */
function lockProject(id: string): Promise<(() => void) | undefined> {
  if (!navigator.locks) return Promise.resolve(() => {});
  const signal = AbortSignal.timeout(LOCK_MS);
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(lockName(id), { signal }, () => new Promise<void>((release) => resolve(release)))
      .catch((error) => (signal.aborted ? resolve(undefined) : reject(error)));
  });
}

const lockName = (id: string) => `boxrun-project-${id}`;

/** Resolves to those projects that no tab has open. */
export async function freeProjects(projects: readonly ProjectRecord[]): Promise<ProjectRecord[]> {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  const names = new Set(held.map(({ name }) => name));
  return projects.filter(({ id }) => !names.has(lockName(id)));
}
