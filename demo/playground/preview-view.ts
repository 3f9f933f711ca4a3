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

  /** @param works whether the page has an origin for previews */
  constructor(
    private readonly works: boolean,
    private readonly onShown: () => void,
  ) {
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
    if (ports.length === 0) this.change(() => this.close());
    else if (box && (added.length > 0 || !ports.includes(this.port ?? chosen!)))
      this.change(() => this.open(box, chosen!));
  }

  /** Loads what is shown again, if anything is. */
  reload(): void {
    if (this.preview) this.load();
  }

  private load(): void {
    const { box } = this;
    const port = Number(this.select.value);
    if (!box || !port) return;
    this.change(() => this.open(box, port));
  }

  /** Takes turns. One that is overtaken by a close shows nothing any more. */
  private change(work: () => Promise<void>): void {
    this.changing = this.changing.then(work).catch((error) => this.say(error));
  }

  private async open(box: BoxHandle, port: number): Promise<void> {
    if (!this.listens(port)) return;
    this.box = box;
    if (!this.works) return this.say(new Error(NO_ORIGIN(port)));
    try {
      if (!this.preview || this.port !== port) {
        await this.close();
        this.box = box;
        this.preview = await box.preview(port);
        this.port = port;
      }
    } catch (error) {
      if (this.listens(port)) this.say(error);
      return;
    }
    if (!this.listens(port)) return;
    const url = new URL(this.preview.url);
    const wanted = new URL(this.path.value.trim().replace(/^\/*/, ""), url);
    // What is typed stays on the server that is shown.
    this.frame.src = wanted.origin === url.origin ? wanted.href : url.href;
    this.note.textContent = "";
    this.frame.hidden = false;
    this.onShown();
  }

  /** Whether a server listens on a port, as far as is known. */
  private listens(port: number): boolean {
    return [...this.select.options].some(({ value }) => Number(value) === port);
  }

  private say(error: unknown): void {
    this.frame.hidden = true;
    this.note.textContent = error instanceof Error ? error.message : String(error);
    this.onShown();
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

const NO_ORIGIN = (port: number) =>
  `A server listens on port ${port}. This site shows no pages of boxes: whoever has made it can give it an origin for previews. In the box, http://localhost:${port}/ works.`;
