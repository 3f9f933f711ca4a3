/** The playground in a frame of a page, used as somebody would: by its fields and buttons. */
export class Playground {
  constructor(frame) {
    this.frame = frame;
  }

  get document() {
    return this.frame.contentDocument;
  }

  /** Opens the page, or loads it again. Resolves when it can be used. */
  async visit(url) {
    const loaded = new Promise((resolve) => this.frame.addEventListener("load", resolve, { once: true }));
    if (this.frame.src) this.frame.contentWindow.location.reload();
    else this.frame.src = url;
    await loaded;
    await this.seen(() => this.find("html[data-ready]"));
  }

  find(selector) {
    return this.document.querySelector(selector);
  }

  /** Resolves to what `look` finds in the frame, as soon as it does. Rejects when the page shows an error. */
  seen(look) {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = look();
        const problem = this.find("#message:not([hidden])");
        if (!found && !problem) return;
        observer.disconnect();
        if (found) resolve(found);
        else reject(new Error(problem.textContent));
      };
      const observer = new MutationObserver(check);
      const all = { subtree: true, childList: true, attributes: true, characterData: true };
      observer.observe(this.document, all);
      check();
    });
  }

  /** Resolves when the page and its smallest image work without a server. */
  async kept() {
    await this.frame.contentWindow.navigator.serviceWorker.ready;
    await this.seen(() => this.find("html[data-kept]"));
  }

  /** Resolves when a file of the project is kept in the browser, which takes a moment. */
  async saved(path) {
    const answer = (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const database = await answer(indexedDB.open("boxrun-project-files"));
    const keys = () => answer(database.transaction("entries").objectStore("entries").getAllKeys());
    while (!(await keys()).some(([, kept]) => kept === path));
    database.close();
  }

  /** Starts a project from an example. */
  async create(example, open) {
    this.find("#new").click();
    this.find("#memory").value = "256";
    this.find(`[data-example=${example}]`).click();
    await this.seen(() => this.find("#editor-path").textContent === open);
  }

  /** Switches the network on or off, and resolves when it is. */
  async setNetwork(on) {
    this.find("#network").click();
    await this.seen(() => this.find("#said").textContent === `The network is ${on ? "on" : "off"}`);
  }

  /** Replaces the text of the file that is open, by the keys for all of it and what a paste brings: WebKit types nothing into a window that is not in front. */
  async type(text) {
    const { KeyboardEvent, ClipboardEvent, DataTransfer } = this.frame.contentWindow;
    const editor = this.find(".cm-content");
    const asKey = { bubbles: true, cancelable: true };
    editor.dispatchEvent(new KeyboardEvent("keydown", { ...asKey, key: "a", keyCode: 65, ctrlKey: true }));
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    // Firefox has its own names for it.
    const pasted = { clipboardData, data: text, dataType: "text/plain" };
    editor.dispatchEvent(new ClipboardEvent("paste", { ...asKey, ...pasted }));
    await this.seen(() => this.text() === text);
  }

  /** Text of the file that is open. */
  text() {
    return [...this.document.querySelectorAll(".cm-line")].map((line) => line.textContent).join("\n");
  }

  /** Presses Run. Returns what the program printed and how it ended. */
  async run() {
    return this.endOf(await this.started(() => this.find("#run").click()));
  }

  /** Runs a command by the line below the output. Returns what it printed and how it ended. */
  async command(text) {
    return this.endOf(
      await this.started(() => {
        this.find("#command").value = text;
        this.find("#composer").requestSubmit();
      }),
    );
  }

  /** Resolves to the entry in the log of the command that `start` starts. */
  async started(start) {
    const entries = () => this.document.querySelectorAll("#log li");
    const before = entries().length;
    start();
    await this.seen(() => entries().length > before);
    return entries()[before];
  }

  async endOf(entry) {
    await this.seen(() => entry.querySelector("small").textContent !== "running…");
    const [ended] = entry.querySelector("small").textContent.replace("✗ ", "").split(",");
    return `${entry.querySelector("pre").textContent}${ended}`;
  }
}
