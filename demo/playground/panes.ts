import { byId } from "./dom.js";

type Pane = "files" | "editor" | "console" | "preview";

/** The panes of the page. A narrow window shows one of them at a time. */
export class Panes {
  private readonly buttons = [...document.querySelectorAll<HTMLElement>("nav [data-shows]")];

  constructor() {
    for (const button of this.buttons)
      button.addEventListener("click", () => this.show(button.dataset["shows"] as Pane));
  }

  /** Shows a pane, where only one is shown. */
  show(pane: Pane): void {
    document.body.dataset["pane"] = pane;
    for (const button of this.buttons) {
      if (button.dataset["shows"] === pane) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  /** Shows the preview, for which a wide window makes room when there is something to see first. */
  showPreview(): void {
    if (document.body.dataset["preview"] === "yes") return;
    document.body.dataset["preview"] = "yes";
    this.show("preview");
  }

  /** Takes the room of the preview back. */
  hidePreview(): void {
    delete document.body.dataset["preview"];
    this.show("editor");
  }

  /** Shows the output of commands in the console, or the terminal. */
  showConsole(which: "output" | "terminal"): void {
    byId("output").hidden = which !== "output";
    byId("terminal-panel").hidden = which !== "terminal";
    byId("show-output").ariaPressed = String(which === "output");
    byId("show-terminal").ariaPressed = String(which === "terminal");
  }
}
