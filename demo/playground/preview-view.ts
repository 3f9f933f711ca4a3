import type { BoxHandle, Preview } from "boxrun";
import { byId } from "./dom.js";

/** Shows a server of a box in a frame of the page. */
export class PreviewView {
  private readonly frame = byId<HTMLIFrameElement>("preview-frame");
  private readonly select = byId<HTMLSelectElement>("preview-port");
  private readonly path = byId<HTMLInputElement>("preview-path");
  private readonly note = byId("preview-note");
  private box: BoxHandle | undefined;
  private preview: Preview | undefined;
  private port: number | undefined;
  /** The last change, so that one ends before the next begins. */
  private changing: Promise<void> = Promise.resolve();

  constructor(private readonly onShown: () => void) {
    this.select.addEventListener("change", () => this.load());
    byId("preview-reload").addEventListener("click", () => this.load());
    byId("preview-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.load();
    });
  }

  /** Takes note of the ports on which servers of a box listen. One that is new is shown; the one that is shown, and was away, is loaded again. */
  takePorts(box: BoxHandle | undefined, ports: readonly number[]): void {
    const before = [...this.select.options].map(({ value }) => Number(value));
    const added = ports.filter((port) => !before.includes(port));
    const chosen =
      added[0] ?? (ports.includes(Number(this.select.value)) ? Number(this.select.value) : ports[0]);
    this.select.replaceChildren(...ports.map((port) => new Option(`Port ${port}`, String(port))));
    if (chosen !== undefined) this.select.value = String(chosen);
    byId("preview").dataset["listens"] = ports.length > 0 ? "yes" : "no";
    if (ports.length === 0) this.changing = this.changing.then(() => this.close());
    else if (box && (added.length > 0 || !ports.includes(this.port ?? chosen!)))
      this.changing = this.changing.then(() => this.open(box, chosen!));
  }

  /** Loads what is shown again, if anything is. */
  reload(): void {
    if (this.preview) this.load();
  }

  private load(): void {
    const { box } = this;
    const port = Number(this.select.value);
    if (!box || !port) return;
    this.changing = this.changing.then(() => this.open(box, port));
  }

  private async open(box: BoxHandle, port: number): Promise<void> {
    this.box = box;
    try {
      if (!this.preview || this.port !== port) {
        await this.close();
        this.box = box;
        this.preview = await box.preview(port);
        this.port = port;
      }
      const path = this.path.value.trim().replace(/^\/*/, "");
      const url = new URL(this.preview.url);
      const wanted = new URL(path, url);
      // What is typed stays on the server that is shown.
      this.frame.src = wanted.origin === url.origin ? wanted.href : url.href;
      this.note.textContent = "";
      this.frame.hidden = false;
      this.onShown();
    } catch (error) {
      this.frame.hidden = true;
      this.note.textContent = error instanceof Error ? error.message : String(error);
      this.onShown();
    }
  }

  private async close(): Promise<void> {
    const { preview } = this;
    this.preview = this.port = this.box = undefined;
    this.frame.removeAttribute("src");
    this.frame.hidden = true;
    this.note.textContent = "Start a web server in the box, and its pages appear here.";
    await preview?.close();
  }
}
