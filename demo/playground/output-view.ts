/** How much of a command's output stays on the page. */
const SHOWN_CHARS = 200_000;
/** After it was painted, the text rests for so many times as long as that took. */
const PAUSE = 3;
/** Text is laid out node by node: nodes of this size are cheap to append to, and to drop from the front. */
const NODE_CHARS = 8_000;

type Stream = "stdout" | "stderr";

/** Shows the end of a command's output. However often text comes, the page is touched once per frame. */
export class OutputView {
  private pending: { stream: Stream; text: string }[] = [];
  private pendingChars = 0;
  private shownChars = 0;
  private frame: number | undefined;
  /** When the next frame may be used, as `performance.now()` counts. */
  private nextPaint = 0;

  /** `scroller` is what `element` lies in; both follow the output while they are at their end. */
  constructor(
    private readonly element: HTMLElement,
    private readonly scroller: HTMLElement,
  ) {}

  append(stream: Stream, text: string): void {
    const last = this.pending.at(-1);
    if (last?.stream === stream && last.text.length < NODE_CHARS) last.text += text;
    else this.pending.push({ stream, text });
    this.pendingChars += text.length;
    // There are no frames in a tab that nobody looks at: what would be cut anyway is not kept for one.
    while (this.pendingChars - this.pending[0]!.text.length > SHOWN_CHARS) {
      this.markCut();
      this.pendingChars -= this.pending.shift()!.text.length;
    }
    this.frame ??= requestAnimationFrame((now) => this.onFrame(now));
  }

  /** Shows at once what still waits for its frame. */
  flush(): void {
    if (this.frame === undefined) return;
    cancelAnimationFrame(this.frame);
    this.paint();
  }

  private onFrame(now: number): void {
    if (now >= this.nextPaint) this.paint();
    else this.frame = requestAnimationFrame((later) => this.onFrame(later));
  }

  private paint(): void {
    const begun = performance.now();
    this.frame = undefined;
    const followed = [this.element, this.scroller].filter(isAtEnd);
    for (const { stream, text } of this.pending) this.show(stream, text);
    this.pending = [];
    this.pendingChars = 0;
    for (const first of [...this.element.children]) {
      const length = first.textContent.length;
      if (this.shownChars - length < SHOWN_CHARS) break;
      this.markCut();
      first.remove();
      this.shownChars -= length;
    }
    for (const element of followed) element.scrollTop = element.scrollHeight;
    // Long lines and many of them take longer than a frame: whoever types or cancels has most of the time.
    const end = performance.now();
    this.nextPaint = end + (end - begun) * PAUSE;
  }

  private show(stream: Stream, text: string): void {
    this.shownChars += text.length;
    const last = this.element.lastElementChild;
    if (last?.className === stream && last.textContent.length < NODE_CHARS) {
      (last.firstChild as Text).appendData(text);
      return;
    }
    const node = this.element.appendChild(document.createElement("span"));
    node.className = stream;
    node.textContent = text;
  }

  /** Says above the text, by the style sheet, that this is not all of it. */
  private markCut(): void {
    this.element.dataset["cut"] = `only the last ${SHOWN_CHARS / 1000} kB are shown`;
  }
}

function isAtEnd({ scrollHeight, scrollTop, clientHeight }: HTMLElement): boolean {
  return scrollHeight - scrollTop - clientHeight < 4;
}
