/** The element of the page with this id. */
export const byId = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;

/** A new element with a class and what is in it. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/** Tells people who do not look at the page what has happened. */
export function say(text: string): void {
  byId("said").textContent = text;
}

/** Shows an error in words, until the next one or none. What was given up with its project is none. */
export function showError(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  const message = byId("message");
  message.hidden = error === undefined;
  message.textContent = error instanceof Error ? error.message : String(error ?? "");
}

/** "12.3 MB". */
export function megabytes(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} kB` : `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

/** "0.42 s". */
export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Asks in place, by a button: the second press before anything else is the one that counts. `about` is what it would be done to: a press for another asks again. */
export function confirmed(button: HTMLButtonElement, question: string, about: string): boolean {
  const isSame = button.dataset["about"] === about;
  button.dataset["about"] = about;
  const says = button.dataset["says"];
  const usual = button.textContent;
  const reset = () => {
    if (button.dataset["says"] !== undefined) button.textContent = button.dataset["says"];
    delete button.dataset["says"];
  };
  if (says !== undefined && isSame) {
    reset();
    return true;
  }
  button.textContent = question;
  say(question);
  if (says !== undefined) return false;
  button.dataset["says"] = usual;
  button.style.minWidth = "";
  // It stays as wide when it says less again, or its neighbours move away from under the click that takes it back.
  button.style.minWidth = `${button.offsetWidth}px`;
  // Safari gives no focus to a button that is clicked.
  button.focus();
  button.addEventListener("blur", reset, { once: true });
  return false;
}

/** Runs what a click or a key asked for; what goes wrong is shown. */
export async function attempt(work: () => Promise<unknown>): Promise<void> {
  showError(undefined);
  try {
    await work();
  } catch (error) {
    showError(error);
  }
}

/** Runs something at each event of an element. A form is not sent anywhere. */
export function on(id: string, event: string, work: (event: Event) => Promise<unknown>): void {
  byId(id).addEventListener(event, (happened) => {
    if (event === "submit") happened.preventDefault();
    void attempt(() => work(happened));
  });
}
