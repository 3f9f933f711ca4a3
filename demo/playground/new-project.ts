import type { ImageInfo } from "boxrun";
import { byId, make, megabytes } from "./dom.js";
import { EMPTY, type Example } from "./examples.js";

/** Memory of the boxes of examples. */
export const SMALL_MB = 256;

/** What a new project is made of. */
export interface Wanted {
  readonly example: Example;
  readonly image: string;
  readonly memoryMb: number;
}

/** The dialog in which a new project is chosen. */
export class NewProject {
  private readonly dialog = byId<HTMLDialogElement>("new-project");

  constructor(
    private readonly images: readonly ImageInfo[],
    examples: readonly Example[],
    private readonly onChoose: (wanted: Wanted) => void,
  ) {
    const choices = [...examples, EMPTY].filter(({ image }) => image === "" || this.image(image));
    byId("examples").replaceChildren(...choices.map((example) => make("li", "", this.choice(example))));
    byId("image").replaceChildren(...images.map(({ name }) => new Option(name)));
    byId("image").addEventListener("change", () => this.showImage());
    byId("new-project-close").addEventListener("click", () => this.dialog.close());
    this.showImage();
  }

  open(): void {
    this.dialog.showModal();
  }

  private image(name: string): ImageInfo | undefined {
    return this.images.find((image) => image.name === name);
  }

  private choice(example: Example): HTMLElement {
    const { title, description, image } = example;
    const size = this.image(image)?.downloadBytes;
    const cost = size === undefined ? "" : `${image} · ${megabytes(size)}`;
    const button = make(
      "button",
      "choice",
      make("strong", "", title),
      make("span", "muted", description),
      make("small", "muted", cost),
    );
    button.type = "button";
    button.dataset["example"] = example.id;
    button.addEventListener("click", () => {
      this.dialog.close();
      this.onChoose({
        example,
        image: image || byId<HTMLSelectElement>("image").value,
        // Examples need little: phones have no room for more.
        memoryMb: image ? SMALL_MB : Number(byId<HTMLSelectElement>("memory").value),
      });
    });
    return button;
  }

  private showImage(): void {
    const image = this.image(byId<HTMLSelectElement>("image").value);
    byId("image-note").textContent = image
      ? `${image.description}. ${megabytes(image.downloadBytes)} to begin with, ${megabytes(image.totalBytes)} in all.`
      : "";
  }
}
