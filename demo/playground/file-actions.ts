import { packTar } from "modern-tar";
import { attempt, byId, confirmed, make, on, say } from "./dom.js";
import type { EditorView } from "./editor-view.js";
import { FileList, SHOWN_ENTRIES } from "./file-list.js";
import type { ProjectFiles } from "./project-files.js";

/** What is done with files and directories by hand: made, uploaded, renamed, downloaded, removed. */
export class FileActions {
  private readonly list: FileList;
  private readonly form = byId<HTMLFormElement>("name-form");
  private readonly name = byId<HTMLInputElement>("name");
  private files: ProjectFiles | undefined;
  /** Directory that was chosen after the file that is open. */
  private directory: string | undefined;
  /** File or directory that gets another name; undefined while a new file is named. */
  private renamed: string | undefined;

  constructor(
    private readonly editor: EditorView,
    private readonly to: { open: (path: string) => Promise<void>; error: (error: unknown) => void },
  ) {
    this.list = new FileList(byId("file-list"), {
      open: (path) => {
        this.directory = undefined;
        void to.open(path).catch(to.error);
      },
      choose: (directory) => {
        this.directory = directory;
        void this.show(this.files).catch(to.error);
      },
    });
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
      this.directory = undefined;
    }
    this.files = files;
    const { directory } = this;
    const entries = (await files?.list(SHOWN_ENTRIES)) ?? [];
    // A program may have removed it. One that was chosen meanwhile need not be in the list yet.
    if (this.directory === directory && !entries.some(({ path }) => path === directory))
      this.directory = undefined;
    this.list.show(entries, this.chosen);
    for (const id of ["rename-file", "remove-file"]) byId(id).hidden = this.chosen === undefined;
    byId("download").hidden = this.directory !== undefined || this.editor.path === undefined;
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

  /** Path of what the buttons are about. */
  private get chosen(): string | undefined {
    return this.directory ?? this.editor.path;
  }

  /** Closes the file that is open if it has a path or is below it. */
  private async leaveFile(path: string): Promise<void> {
    if (`${this.editor.path}/`.startsWith(`${path}/`)) await this.editor.close();
  }

  private endNaming(): void {
    this.leave();
    byId(this.renamed === undefined ? "new-file" : "rename-file").focus();
  }

  private ask(question: string, renamed?: string): void {
    this.renamed = renamed;
    this.form.hidden = false;
    byId("name-label").textContent = question;
    this.name.value = (renamed ?? (this.directory === undefined ? "/" : `${this.directory}/`)).slice(1);
    this.name.focus();
    this.name.select();
  }

  private async takeName(): Promise<void> {
    const { volume } = this.files ?? {};
    if (!volume) return;
    const parts = this.name.value.split("/").filter((part) => part.trim() !== "" && part !== ".");
    if (parts.length === 0) throw new Error("A file needs a name");
    if (parts.includes("..")) throw new Error('The name of a file cannot contain ".."');
    const path = `/${parts.join("/")}`;
    const { renamed } = this;
    if (path !== renamed && (await volume.files.exists(path)))
      throw new Error(`${path.slice(1)} exists already`);
    if (renamed === undefined) await volume.files.write(path, "");
    else if (path !== renamed) {
      const opened = this.editor.path;
      await this.leaveFile(renamed);
      const folder = path.slice(0, path.lastIndexOf("/"));
      if (folder) await volume.files.mkdir(folder, { recursive: true });
      await volume.files.rename(renamed, path);
      if (this.directory === renamed) {
        this.directory = path;
        this.leave();
        if (opened?.startsWith(`${renamed}/`)) await this.to.open(path + opened.slice(renamed.length));
        return this.show(this.files);
      }
    }
    this.directory = undefined;
    this.leave();
    await this.to.open(path);
    this.editor.focus();
  }

  private async remove(): Promise<void> {
    const { chosen: path } = this;
    if (!this.files || path === undefined) return;
    const recursive = path === this.directory;
    const question = recursive ? "Delete all of it?" : "Delete it?";
    if (!confirmed(byId<HTMLButtonElement>("remove-file"), question, path)) return;
    await this.leaveFile(path);
    await this.files.volume.files.remove(path, { recursive });
    this.directory = undefined;
    say(`${path.slice(1)} is deleted`);
    await this.show(this.files);
    byId("new-file").focus();
  }

  private async download(): Promise<void> {
    const { path } = this.editor;
    if (!this.files || path === undefined) return;
    await this.editor.flush();
    save(await this.files.volume.files.read(path), path.slice(path.lastIndexOf("/") + 1));
  }

  private async upload(chosen: readonly File[]): Promise<void> {
    const { volume } = this.files ?? {};
    if (!volume) return;
    for (const file of chosen) {
      const path = `/${file.name}`;
      if ((await volume.files.exists(path)) && !confirm(`Replace ${file.name} in the project?`)) continue;
      await volume.files.write(path, new Uint8Array(await file.arrayBuffer()));
      say(`${file.name} is in the project`);
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
