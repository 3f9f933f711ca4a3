import type { BoxInfo } from "boxrun";
import { make } from "./dom.js";

/** The boxes there are, one of them chosen. */
export class BoxList {
  constructor(
    private readonly list: HTMLElement,
    private readonly onChoose: (id: string) => void,
  ) {}

  show(boxes: readonly BoxInfo[], chosen: string | undefined): void {
    const hadFocus = this.list.contains(document.activeElement);
    this.list.replaceChildren(...boxes.map((info) => this.item(info, info.id === chosen)));
    if (boxes.length === 0) this.list.append(make("li", "muted", "None yet."));
    if (hadFocus) this.list.querySelector<HTMLElement>("[aria-current=true]")?.focus();
  }

  private item(info: BoxInfo, chosen: boolean): HTMLElement {
    const state = make("span", `state ${info.status}`, info.status);
    const title = make("strong", "", nameOf(info));
    const image = make("span", "muted", info.image);
    const button = make("button", "choice", title, image, state);
    button.type = "button";
    button.dataset["box"] = info.id;
    button.setAttribute("aria-current", String(chosen));
    button.addEventListener("click", () => this.onChoose(info.id));
    return make("li", "", button);
  }
}

/** What a box is called on the page. */
export function nameOf({ name, id }: BoxInfo): string {
  return name ?? id.replace("box_", "");
}
