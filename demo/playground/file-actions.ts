import type { MemoryVolume } from "boxrun/local";
import { packTar } from "modern-tar";
import { attempt, byId, confirmed, make, on, say } from "./dom.js";
import type { EditorView } from "./editor-view.js";
import { FileList, SHOWN_ENTRIES } from "./file-list.js";
import type { ProjectEntry, ProjectFiles } from "./project-files.js";

/** What is done with files and directories by hand: made, uploaded, renamed, downloaded, removed. */
export class FileActions {
  private readonly list: FileList;
  private readonly form = byId<HTMLFormElement>("name-form");
  private readonly name = byId<HTMLInputElement>("name");
  private files: ProjectFiles | undefined;
  /** Entry of the list that was clicked last; undefined for the file that is open. */
  private clicked: ProjectEntry | undefined;
  /** File or directory that gets another name; undefined while a new file is named. */
  private renamed: ProjectEntry | undefined;

  constructor(
    private readonly editor: EditorView,
    private readonly openFile: (path: string) => Promise<void>,
  ) {
    this.list = new FileList(byId("file-list"), (entry) => void attempt(() => this.choose(entry)));
    on("new-file", "click", async () => this.ask("Name of the new file"));
    on("rename-file", "click", async () => this.ask("New name", this.chosen));
    on("name-form", "submit", () => this.takeName());
    on("remove-file", "click", () => this.remove());
    on("download", "click", () => this.download());
    on("upload", "change", async ({ target }) => {
      const input = target as HTMLInputElement;
      await this.upload([...(input.files ?? [])]).finally(() => {
        input.value = "";
      });
    });
    on("name-cancel", "click", async () => this.endNaming());
    this.name.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.endNaming();
    });
    // Anywhere: a file that is dropped beside its place would take the page away.
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      void attempt(() => this.upload([...(event.dataTransfer?.files ?? [])]));
    });
  }

  /** Shows the files of a project, or none. */
  async show(files: ProjectFiles | undefined): Promise<void> {
    if (files !== this.files) {
      this.list.reset();
      this.clicked = undefined;
    }
    this.files = files;
    const { clicked } = this;
    const entries = (await files?.list(SHOWN_ENTRIES)) ?? [];
    // A program may have removed it. One that was clicked meanwhile need not be in the list yet.
    const isThere =
      entries.some(({ path }) => path === clicked?.path) ||
      (clicked && entries.length >= SHOWN_ENTRIES && (await files?.volume.files.exists(clicked.path)));
    // Another project may have been opened meanwhile.
    if (files !== this.files) return;
    if (this.clicked === clicked && !isThere) this.clicked = undefined;
    const { chosen } = this;
    this.list.show(entries, chosen?.path);
    byId("entry-actions").hidden = chosen === undefined;
    byId("download").hidden = chosen?.isDirectory === true;
    for (const id of ["new-file", "upload"]) byId<HTMLInputElement>(id).disabled = files === undefined;
  }

  /** Forgets what was being named. */
  leave(): void {
    this.form.hidden = true;
  }

  /** Downloads all files as a tar archive. */
  async downloadAll(title: string): Promise<void> {
    const { files } = this;
    if (!files) return;
    await this.editor.flush();
    const { volume } = files;
    const entries = [];
    for (const { path, isDirectory } of await files.list(Infinity)) {
      const { type, mode } = await volume.files.lstat(path);
      const name = path.slice(1);
      if (isDirectory)
        entries.push({ header: { name: `${name}/`, size: 0, mode, type: "directory" as const } });
      else if (type === "file") {
        const body = await volume.files.read(path);
        entries.push({ header: { name, size: body.byteLength, mode }, body });
      }
    }
    save(await packTar(entries), `${title}.tar`);
  }

  /** File or directory that the buttons are about. */
  private get chosen(): ProjectEntry | undefined {
    const { path } = this.editor;
    return this.clicked ?? (path === undefined ? undefined : { path, isDirectory: false });
  }

  /** Directory for new files and uploads: the one that was clicked, or else the top. */
  private get folder(): string {
    return this.clicked?.isDirectory ? this.clicked.path : "";
  }

  private async choose(entry: ProjectEntry): Promise<void> {
    this.clicked = entry;
    try {
      if (!entry.isDirectory) await this.openFile(entry.path);
    } finally {
      // A file that cannot be edited can be renamed, downloaded and deleted all the same.
      await this.show(this.files);
    }
  }

  /** Closes the file that is open if it has a path or is below it. */
  private async leaveFile(path: string): Promise<void> {
    if (`${this.editor.path}/`.startsWith(`${path}/`)) await this.editor.close();
  }

  private endNaming(): void {
    this.leave();
    byId(this.renamed === undefined ? "new-file" : "rename-file").focus();
  }

  private ask(question: string, renamed?: ProjectEntry): void {
    this.renamed = renamed;
    this.form.hidden = false;
    byId("name-label").textContent = question;
    this.name.value = (renamed?.path ?? `${this.folder}/`).slice(1);
    this.name.focus();
    this.name.setSelectionRange(renamed ? 0 : this.name.value.length, this.name.value.length);
  }

  private async takeName(): Promise<void> {
    const { volume } = this.files ?? {};
    if (!volume) return;
    const parts = this.name.value.split("/").filter((part) => part.trim() !== "" && part !== ".");
    if (parts.length === 0) throw new Error("A file needs a name");
    if (parts.includes("..")) throw new Error('The name of a file cannot contain ".."');
    const path = `/${parts.join("/")}`;
    const { renamed } = this;
    if (path === renamed?.path) return this.endNaming();
    if (await volume.files.exists(path)) throw new Error(`${path.slice(1)} exists already`);
    if (renamed) return this.rename(volume, renamed, path);
    await volume.files.write(path, "");
    this.clicked = undefined;
    this.leave();
    await this.openFile(path);
    this.editor.focus();
  }

  private async rename(volume: MemoryVolume, { path: from, isDirectory }: ProjectEntry, to: string) {
    if (to.startsWith(`${from}/`)) throw new Error(`${from.slice(1)} cannot be moved into itself`);
    const opened = this.editor.path;
    await this.leaveFile(from);
    const folder = to.slice(0, to.lastIndexOf("/"));
    if (folder) await volume.files.mkdir(folder, { recursive: true });
    await volume.files.rename(from, to);
    this.clicked = { path: to, isDirectory };
    this.leave();
    // What was open is open again, by its new name.
    if (`${opened}/`.startsWith(`${from}/`)) await this.openFile(to + opened!.slice(from.length));
    await this.show(this.files);
    if (opened === from) this.editor.focus();
    else byId("rename-file").focus();
  }

  private async remove(): Promise<void> {
    const { files, chosen } = this;
    if (!files || !chosen) return;
    const { path, isDirectory } = chosen;
    const name = path.slice(path.lastIndexOf("/") + 1);
    const question = isDirectory ? `Delete ${name} and all in it?` : `Delete ${name}?`;
    if (!confirmed(byId<HTMLButtonElement>("remove-file"), question, path)) return;
    await this.leaveFile(path);
    await files.volume.files.remove(path, { recursive: isDirectory });
    this.clicked = undefined;
    say(`${path.slice(1)} is deleted`);
    await this.show(this.files);
    byId("new-file").focus();
  }

  private async download(): Promise<void> {
    const { files, chosen } = this;
    if (!files || !chosen) return;
    const { path } = chosen;
    await this.editor.flush();
    save(await files.volume.files.read(path), path.slice(path.lastIndexOf("/") + 1));
  }

  private async upload(chosen: readonly File[]): Promise<void> {
    const { volume } = this.files ?? {};
    if (!volume) return;
    const { folder } = this;
    for (const file of chosen) {
      const path = `${folder}/${file.name}`;
      if ((await volume.files.exists(path)) && !confirm(`Replace ${path.slice(1)} in the project?`)) continue;
      await volume.files.write(path, new Uint8Array(await file.arrayBuffer()));
      say(`${path.slice(1)} is in the project`);
    }
  }
}

/** Gives bytes to the browser, to be saved under a name. */
function save(bytes: Uint8Array, name: string): void {
  const link = make("a", "");
  link.href = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
