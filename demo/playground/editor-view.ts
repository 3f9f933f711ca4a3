import { indentWithTab } from "@codemirror/commands";
import { indentUnit } from "@codemirror/language";
import { Compartment, EditorState, type Extension, type Text, Transaction } from "@codemirror/state";
import { EditorView as CodeMirror, keymap } from "@codemirror/view";
import type { MemoryVolume } from "boxrun/local";
import { basicSetup } from "codemirror";
import { byId, megabytes } from "./dom.js";
import { editorLook } from "./editor-look.js";
import { languageOf } from "./languages.js";

/** Size above which a file is none to type in. */
const MAX_BYTES = 1 << 20;
/** How long after the last key the text is written to the volume. */
const QUIET_MS = 150;

interface OpenFile {
  readonly path: string;
  /** Text of the editor that the volume has. */
  written: Text;
  /** End of its lines where all are "\r\n". Otherwise a "\r" is a character as others. */
  readonly newline: "\n" | "\r\n";
}

/** The editor: one text file of a project at a time. What is typed is in the volume a moment later; there is nothing to save. */
export class EditorView {
  private readonly view: CodeMirror;
  private readonly language = new Compartment();
  /** Undo history and cursor of files that were open before. */
  private readonly states = new Map<string, EditorState>();
  private volume: MemoryVolume | undefined;
  private shown: OpenFile | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(
    parent: HTMLElement,
    private readonly on: { written: (path: string) => void; error: (error: unknown) => void },
  ) {
    this.view = new CodeMirror({ parent });
  }

  /** Path of the file that is open. */
  get path(): string | undefined {
    return this.shown?.path;
  }

  /** Path and text of the file that is open, as it is in the editor. */
  get file(): { path: string; text: string } | undefined {
    return this.shown && { path: this.shown.path, text: this.text(this.shown) };
  }

  /** True while there is text that is not in the volume. */
  get isUnwritten(): boolean {
    return this.shown !== undefined && !this.view.state.doc.eq(this.shown.written);
  }

  /** Opens a file of a volume. Rejects when it is no text, or when what was typed before cannot be written, and leaves open what was open. */
  async open(volume: MemoryVolume, path: string): Promise<void> {
    await this.flush();
    const text = await readText(volume, path);
    if (this.shown) this.states.set(this.shown.path, this.view.state);
    if (volume !== this.volume) this.states.clear();
    const newline = /(?<!\r)\n/.test(text) || !text.includes("\n") ? "\n" : "\r\n";
    const state = this.stateOf(text.replaceAll(newline, "\n"), path);
    const before = this.states.get(path);
    this.volume = volume;
    this.shown = { path, written: state.doc, newline };
    this.view.setState(before?.doc.eq(state.doc) ? before : state);
    this.show();
    void this.color(path).catch(this.on.error);
  }

  /** Puts the focus into the editor, unless it has gone elsewhere: whoever types in another place goes on there. */
  focus(): void {
    const { activeElement } = document;
    if (!activeElement || activeElement === document.body || activeElement === byId("new")) this.view.focus();
  }

  /** Closes the file. Rejects when what was typed cannot be written. */
  async close(): Promise<void> {
    await this.flush();
    this.forget();
  }

  /** Closes the file, whatever was typed, if it is one of a volume. */
  forget(volume = this.volume): void {
    if (volume !== this.volume) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.shown = undefined;
    this.show();
  }

  /** Writes what was typed, now. Rejects when that cannot be done, and tries again the next time. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.writing = this.writing.catch(() => {}).then(() => this.write());
    return this.writing;
  }

  /** Takes over what somebody else has written to the file, or that it was removed. What is being typed wins. */
  async follow(changed: ReadonlySet<string>): Promise<void> {
    const { shown: file, volume } = this;
    if (!file || !volume || !changed.has(file.path) || this.timer !== undefined) return;
    await this.writing;
    const there = await readText(volume, file.path).catch(() => undefined);
    if (this.shown !== file || this.timer !== undefined || this.isUnwritten) return;
    if (there === undefined || there === this.text(file)) {
      if (!(await volume.files.exists(file.path)) && this.shown === file && !this.isUnwritten) this.forget();
      return;
    }
    const { doc, selection } = this.view.state;
    const insert = this.view.state.toText(there.replaceAll(file.newline, "\n"));
    file.written = insert;
    this.view.dispatch({
      changes: { from: 0, to: doc.length, insert },
      selection: { anchor: Math.min(selection.main.anchor, insert.length) },
      annotations: Transaction.remote.of(true),
    });
  }

  /** Loads the language of the file, which is shown without colors until then. */
  private async color(path: string): Promise<void> {
    const language = await languageOf(path);
    if (this.path === path) this.view.dispatch({ effects: this.language.reconfigure(language) });
  }

  private async write(): Promise<void> {
    const { shown: file, volume } = this;
    if (!file || !volume || !this.isUnwritten) return;
    const { doc } = this.view.state;
    await volume.files.write(file.path, this.text(file));
    file.written = doc;
    this.on.written(file.path);
  }

  private stateOf(doc: string, path: string): EditorState {
    const extensions: Extension[] = [
      // Else it is a new line, before the page sees the key.
      keymap.of([{ key: "Mod-Enter", run: () => true, preventDefault: true }]),
      basicSetup,
      keymap.of([indentWithTab]),
      indentUnit.of(/\.(?:py|c|h|cpp)$/.test(path) ? "    " : "  "),
      EditorState.tabSize.of(4),
      EditorState.lineSeparator.of("\n"),
      CodeMirror.clipboardInputFilter.of((text) => text.replace(/\r\n?/g, "\n")),
      editorLook,
      this.language.of([]),
      CodeMirror.contentAttributes.of({
        "aria-label": `Contents of ${path}`,
        "aria-describedby": "editor-note",
      }),
      CodeMirror.updateListener.of(({ docChanged, transactions }) => {
        if (!docChanged || transactions.every((change) => change.annotation(Transaction.remote))) return;
        clearTimeout(this.timer);
        this.timer = setTimeout(() => void this.flush().catch(this.on.error), QUIET_MS);
      }),
    ];
    return EditorState.create({ doc, extensions });
  }

  /** Text of the editor with the ends of lines that its file has. */
  private text({ newline }: OpenFile): string {
    return this.view.state.doc.toString().replaceAll("\n", newline);
  }

  private show(): void {
    byId("editor").dataset["open"] = this.shown ? "yes" : "no";
    byId("editor-path").textContent = this.shown?.path.slice(1) ?? "No file is open";
  }
}

async function readText(volume: MemoryVolume, path: string): Promise<string> {
  const name = path.slice(1);
  const { size, type } = await volume.files.stat(path);
  if (type !== "file") throw new Error(`${name} is not a file`);
  if (size > MAX_BYTES) throw new Error(`${name} is too large to edit here, ${megabytes(size)}: download it`);
  const text = decode(await volume.files.read(path));
  if (text === undefined || text.includes("\0")) throw new Error(`${name} is not text: download it`);
  return text;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
