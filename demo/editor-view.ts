import type { BoxHandle } from "boxrun";
import { byId, megabytes, say } from "./dom.js";

/** Size above which a file is none to type in. */
const MAX_BYTES = 1 << 20;
const INDENT = "    ";

interface OpenFile {
  readonly box: BoxHandle;
  readonly path: string;
  /** Text that is in the box. Undefined for a file that is not there yet. */
  saved: string | undefined;
  /** End of its lines, of which the page knows one kind only. */
  readonly newline: "\n" | "\r\n";
}

/** An editor for one text file of a box. */
export class EditorView {
  private readonly place = byId("editor");
  private readonly text = byId<HTMLTextAreaElement>("editor-text");
  private file: OpenFile | undefined;
  /** Whether the next Tab leaves the editor. */
  private leaving = false;

  constructor(onSave: () => void) {
    this.text.addEventListener("input", () => this.show());
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        onSave();
      } else this.indent(event);
    });
    addEventListener("beforeunload", (event) => this.hasUnsaved && event.preventDefault());
  }

  get isOpen(): boolean {
    return this.file !== undefined;
  }

  /** True while there is text that is not in the box. */
  get hasUnsaved(): boolean {
    return this.file !== undefined && this.text.value !== (this.file.saved ?? "");
  }

  /** Opens a file of a box, or begins a new one. Rejects when it is no text, and where text of another file would be lost. */
  async open(box: BoxHandle, path: string): Promise<void> {
    if (this.file?.box.id === box.id && this.file.path === path) return this.text.focus();
    this.refuseLoss();
    const saved = (await box.files.exists(path)) ? await readText(box, path) : undefined;
    // Again: there was time to type.
    this.refuseLoss();
    this.text.value = saved ?? "";
    const newline = saved?.includes("\r\n") ? "\r\n" : "\n";
    this.file = { box, path, saved: saved && this.text.value, newline };
    this.text.setSelectionRange(0, 0);
    this.show();
    this.text.focus();
  }

  /** Writes the text into the box, if it is not there. */
  async save(): Promise<void> {
    const { file } = this;
    if (!file || (file.saved !== undefined && !this.hasUnsaved)) return;
    const text = this.text.value;
    await file.box.files.write(file.path, text.replaceAll("\n", file.newline));
    file.saved = text;
    say(`${file.path} is saved`);
    this.show();
  }

  /** Closes the file, whatever has not been saved. */
  close(): void {
    this.file = undefined;
    this.show();
  }

  /** Throws where there is text that would be lost. */
  refuseLoss(): void {
    if (this.hasUnsaved) throw new Error(`save ${this.file?.path} first, or close it`);
  }

  private show(): void {
    const { file } = this;
    this.place.hidden = file === undefined;
    if (!file) return;
    byId("editor-path").textContent = file.path;
    byId("editor-state").textContent =
      file.saved === undefined ? "new" : this.hasUnsaved ? "not saved" : "saved";
    byId<HTMLButtonElement>("editor-save").disabled = file.saved !== undefined && !this.hasUnsaved;
  }

  /** Tab indents, and a new line begins below the one before. After Escape, Tab moves on as everywhere. */
  private indent(event: KeyboardEvent): void {
    const { key, shiftKey, ctrlKey, altKey, metaKey, isComposing } = event;
    const isPlain = !shiftKey && !ctrlKey && !altKey && !metaKey && !isComposing;
    if (isPlain && key === "Tab" && !this.leaving) this.insert(event, INDENT);
    if (isPlain && key === "Enter") {
      const line = this.text.value.slice(0, this.text.selectionStart).split("\n").at(-1) ?? "";
      this.insert(event, `\n${/^[ \t]*/.exec(line)?.[0] ?? ""}`);
    }
    if (key !== "Shift") this.leaving = key === "Escape";
  }

  private insert(event: KeyboardEvent, text: string): void {
    event.preventDefault();
    // Deprecated, and still the only way that keeps what Ctrl+Z takes back.
    document.execCommand("insertText", false, text);
  }
}

async function readText(box: BoxHandle, path: string): Promise<string> {
  const { size } = await box.files.stat(path);
  if (size > MAX_BYTES) throw new Error(`${path} is too large to edit here, ${megabytes(size)}: download it`);
  const text = decode(await box.files.read(path));
  if (text === undefined || text.includes("\0")) throw new Error(`${path} is not text: download it`);
  return text;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
