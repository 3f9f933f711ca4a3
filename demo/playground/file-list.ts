import { make } from "./dom.js";
import type { ProjectEntry } from "./project-files.js";

/** Number of entries beyond which the rest is counted only. */
export const SHOWN_ENTRIES = 1000;

/** The files of a project: a list in which arrow keys walk, and directories open and close. */
export class FileList {
  /** Directories that are closed. */
  private readonly closed = new Set<string>();
  private entries: readonly ProjectEntry[] = [];
  private chosen: string | undefined;

  constructor(
    private readonly list: HTMLElement,
    private readonly onChoose: (entry: ProjectEntry) => void,
  ) {
    list.addEventListener("keydown", (event) => this.walk(event));
  }

  /** Shows entries, of which one is marked: the one that the buttons below act on. */
  show(entries: readonly ProjectEntry[], chosen: string | undefined): void {
    this.entries = entries;
    this.chosen = chosen;
    const focused = (document.activeElement as HTMLElement | null)?.dataset["path"];
    const visible = entries.filter(({ path }) => !this.isHidden(path));
    this.list.replaceChildren(...visible.map((entry) => this.item(entry)));
    if (entries.length >= SHOWN_ENTRIES)
      this.list.append(make("li", "muted", `Only ${SHOWN_ENTRIES} files are shown`));
    if (entries.length === 0) this.list.append(make("li", "muted", "No files yet"));
    if (focused !== undefined) this.button(focused)?.focus();
  }

  /** Forgets which directories are closed. */
  reset(): void {
    this.closed.clear();
  }

  private isHidden(path: string): boolean {
    return [...this.closed].some((directory) => path.startsWith(`${directory}/`));
  }

  private item(entry: ProjectEntry): HTMLElement {
    const { path, isDirectory } = entry;
    const parts = path.split("/");
    const button = make("button", isDirectory ? "entry directory" : "entry", parts.at(-1)!);
    button.type = "button";
    button.dataset["path"] = path;
    button.style.setProperty("--depth", String(parts.length - 2));
    if (isDirectory) button.ariaExpanded = String(!this.closed.has(path));
    if (path === this.chosen) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => {
      if (isDirectory) this.toggle(path);
      this.onChoose(entry);
    });
    return make("li", "", button);
  }

  private toggle(directory: string): void {
    if (!this.closed.delete(directory)) this.closed.add(directory);
    this.show(this.entries, directory);
  }

  private button(path: string): HTMLElement | undefined {
    return [...this.list.querySelectorAll("button")].find(({ dataset }) => dataset["path"] === path);
  }

  private walk(event: KeyboardEvent): void {
    const buttons = [...this.list.querySelectorAll("button")];
    const at = buttons.indexOf(event.target as HTMLButtonElement);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    buttons[to]?.focus();
  }
}
