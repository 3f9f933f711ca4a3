import type { CreateProgress } from "boxrun";
import { byId, megabytes } from "./dom.js";

const PHASES = { download: "downloading", boot: "booting", setup: "mounting its disk", ready: "ready" };

/** What takes a while, in words and as a bar. */
export class Progress {
  private readonly area = byId("progress");
  private readonly text = byId("progress-text");
  private readonly bar = byId<HTMLProgressElement>("progress-bar");

  /** Whether it shows the start of a box. */
  isOfStart = false;

  showStep(what: string, { phase, loadedBytes, totalBytes }: CreateProgress): void {
    if (loadedBytes !== undefined && totalBytes !== undefined) this.showBytes(what, loadedBytes, totalBytes);
    else {
      this.area.hidden = false;
      this.text.textContent = `${what}: ${PHASES[phase]}…`;
      // Without a value the bar shows that it cannot tell.
      this.bar.removeAttribute("value");
    }
    this.isOfStart = true;
  }

  showBytes(what: string, loadedBytes: number, totalBytes: number | null): void {
    this.area.hidden = false;
    this.isOfStart = false;
    const all = totalBytes === null ? "" : ` of ${megabytes(totalBytes)}`;
    this.text.textContent = `${what}: ${megabytes(loadedBytes)}${all}`;
    if (totalBytes) this.bar.value = loadedBytes / totalBytes;
  }

  hide(): void {
    this.area.hidden = true;
    this.isOfStart = false;
  }
}
