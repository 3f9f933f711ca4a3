import { type BoxHandle, BoxRunClient, type ImageInfo } from "boxrun";
import { BoxList, nameOf } from "./box-list.js";
import { byId, confirmed, make, megabytes, say, showError } from "./dom.js";
import { EditorView } from "./editor-view.js";
import { History } from "./history.js";
import { Progress } from "./progress.js";
import { TerminalView } from "./terminal-view.js";
import { Transcript } from "./transcript.js";

const client = new BoxRunClient({ backend: "local" });
const history = new History();
const progress = new Progress();
const transcript = new Transcript(byId("log"));
const list = new BoxList(byId("boxes"), (id) => void attempt(() => choose(id)));
const terminal = new TerminalView(byId("terminal"), {
  onEnd: () => void refresh().catch(showError),
  onLeave: () => byId("terminal-toggle").focus(),
});
const editor = new EditorView(() => void attempt(() => editor.save()));
const command = byId<HTMLInputElement>("command");
const imageSelect = byId<HTMLSelectElement>("image");
const path = byId<HTMLInputElement>("path");

let images: ImageInfo[] = [];
/** Names of the images that work without a network, as far as this visit knows. */
const kept = new Set<string>();
let box: BoxHandle | undefined;
let busy = false;
let creating = false;
/** Id of the box that starts: others see it running from the first moment, but it takes no command yet. */
let starting: string | undefined;
let refreshing: Promise<unknown> = Promise.resolve();
let nextRefresh: Promise<void> | undefined;

/** Runs what a click or a key asked for; what goes wrong is shown. */
async function attempt(work: () => Promise<void>): Promise<void> {
  showError(undefined);
  try {
    await work();
  } catch (error) {
    showError(error);
  } finally {
    await refresh().catch(showError);
  }
}

/** Images of at most this size are kept without being asked for, so that the page works without a network once it has been there. */
const KEPT_UNASKED_BYTES = 16 * 2 ** 20;

/** Keeps the smallest image, unless it is large or the browser has been told to save data. */
async function keepSmallest(): Promise<void> {
  const [smallest] = images;
  const { connection } = navigator as { connection?: { saveData?: boolean } };
  if (!smallest || smallest.totalBytes > KEPT_UNASKED_BYTES || connection?.saveData) return;
  await client.pull(smallest.name);
  kept.add(smallest.name);
  showImage();
}

/** Boxes are made, started, stopped and removed in other tabs, too. */
async function followOthers(): Promise<void> {
  for await (const _ of client.watchBoxes()) await refresh().catch(showError);
}

/** Shows what is there now. One after the other, since one that asked before a change must not be the last to answer; and one for all who wait meanwhile. */
function refresh(): Promise<void> {
  nextRefresh ??= refreshing.then(() => {
    nextRefresh = undefined;
    const shown = show();
    refreshing = shown.catch(() => {});
    return shown;
  });
  return nextRefresh;
}

async function show(): Promise<void> {
  const boxes = await client.listBoxes();
  const info = boxes.find(({ id }) => id === box?.id);
  if (!info) {
    box = undefined;
    editor.close();
  }
  // All that is asked is asked first: the page changes in one go.
  const kept = await box?.usage();
  const { usage } = (await navigator.storage?.estimate().catch(() => undefined)) ?? {};
  list.show(boxes, box?.id);
  byId("empty").hidden = box !== undefined;
  byId("box").hidden = box === undefined;
  byId("storage").textContent = usage ? `${megabytes(usage)} kept in this browser` : "";
  if (!kept || !info) return;
  const starts = info.id === starting;
  const running = info.status === "running" && !starts;
  byId("box-name").textContent = nameOf(info);
  byId("box-facts").textContent = [
    info.local?.image || info.image,
    starts ? "starting" : info.status,
    `${megabytes(kept.diskBytes)} of ${info.diskSizeGb} GB used`,
    ...(kept.persistent ? [] : ["ends with this page"]),
    ...(info.errorMessage ? [info.errorMessage] : []),
  ].join(" · ");
  showTerminal(running);
  byId("start").hidden = running;
  byId<HTMLButtonElement>("start").disabled = starts;
  byId("stop").hidden = !running;
  const isBusy = transcript.isRunning || busy;
  // What is typed while a command runs waits for its end.
  for (const id of ["command", "run", "path", "upload", "edit", "download"]) {
    byId<HTMLInputElement>(id).disabled = !running || (isBusy && id === "run");
  }
  byId("run").hidden = isBusy;
  byId("cancel").hidden = !isBusy;
  command.placeholder = running ? "ls -l /" : "Start the box to run commands";
}

/** Instead of the commands: one of the two is what people work with. */
function showTerminal(running: boolean, open = terminal.isOpen): void {
  byId("terminal").hidden = byId("terminal-note").hidden = !open;
  byId("log").hidden = byId("composer").hidden = open;
  byId("terminal-toggle").hidden = !running;
  byId("terminal-toggle").ariaPressed = String(open);
}

async function toggleTerminal(): Promise<void> {
  if (terminal.isOpen) await terminal.close();
  else if (box) {
    // It must be there to be measured.
    showTerminal(true, true);
    await terminal.open(box);
  }
}

async function choose(id: string): Promise<void> {
  if (id !== box?.id) editor.refuseLoss();
  await terminal.close();
  if (id !== box?.id) editor.close();
  box = await client.getBox(id);
  location.hash = id;
  await refresh();
  byId("box").scrollIntoView({ block: "nearest" });
  await transcript.show(box);
  if (!command.disabled) command.focus({ preventScroll: true });
}

async function create(): Promise<void> {
  if (creating) return;
  setCreating(true);
  const name = byId<HTMLInputElement>("name");
  const begun = performance.now();
  try {
    const made = await client.create(imageSelect.value, {
      memoryMb: Number(byId<HTMLSelectElement>("memory").value),
      onProgress: (step) => progress.showStep("Creating a box", step),
      ...(name.value && { name: name.value }),
    });
    name.value = "";
    say(`${nameOf(made.info)} started in ${Math.round(performance.now() - begun)} ms`);
    await choose(made.id);
  } finally {
    setCreating(false);
    progress.hide();
  }
}

function setCreating(now: boolean): void {
  creating = now;
  const button = byId<HTMLButtonElement>("create-button");
  button.disabled = now;
  button.textContent = now ? "Creating…" : "Create";
}

async function start(): Promise<void> {
  if (!box || starting === box.id) return;
  starting = box.id;
  try {
    await box.start({ onProgress: (step) => progress.showStep("Starting", step) });
  } finally {
    starting = undefined;
    progress.hide();
  }
  await refresh();
  command.focus({ preventScroll: true });
}

async function run(): Promise<void> {
  const text = command.value.trim();
  if (!box || text === "" || busy) return;
  command.value = "";
  history.add(text);
  busy = true;
  try {
    if (editor.hasUnsaved) await editor.save();
    const running = transcript.run(box, text);
    // It may fail before it is awaited below.
    running.catch(() => {});
    await refresh();
    await running;
  } finally {
    busy = false;
    await refresh();
    const { activeElement } = document;
    // Whoever works elsewhere in the page meanwhile stays there.
    const isElsewhere = activeElement !== document.body && activeElement !== byId("cancel");
    if (!command.disabled && !isElsewhere) command.focus({ preventScroll: true });
  }
}

async function upload(files: Iterable<File>): Promise<void> {
  for (const file of files) {
    if (!box) return;
    await box.upload(file, `/root/${file.name}`, {
      onProgress: ({ loadedBytes, totalBytes }) =>
        progress.showBytes(`Uploading ${file.name}`, loadedBytes, totalBytes),
    });
    path.value = `/root/${file.name}`;
    say(`${file.name} is in the box, at ${path.value}`);
  }
}

/** Returns the path that was typed, below /root where it begins nowhere. */
function typedPath(): string {
  const typed = path.value.trim();
  return typed.startsWith("/") ? typed : `/root/${typed}`;
}

async function edit(): Promise<void> {
  if (box) await editor.open(box, typedPath());
}

async function closeEditor(): Promise<void> {
  const button = byId<HTMLButtonElement>("editor-close");
  if (editor.hasUnsaved && !confirmed(button, "Close without saving?")) return;
  editor.close();
  if (!command.disabled) command.focus({ preventScroll: true });
}

async function download(): Promise<void> {
  if (!box || !byId<HTMLFormElement>("files").reportValidity()) return;
  const from = typedPath();
  const file = await box.download(from);
  const link = make("a", "");
  link.href = URL.createObjectURL(await file.blob());
  link.download = from.slice(from.lastIndexOf("/") + 1);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  say(`${link.download} was downloaded`);
}

function on(id: string, event: string, work: (event: Event) => Promise<void>): void {
  byId(id).addEventListener(event, (happened) => {
    if (event === "submit") happened.preventDefault();
    void attempt(() => work(happened));
  });
}

on("create", "submit", create);
on("composer", "submit", run);
on("files", "submit", edit);
on("download", "click", download);
on("editor-save", "click", () => editor.save());
on("editor-close", "click", closeEditor);
on("cancel", "click", () => transcript.cancel());
on("terminal-toggle", "click", toggleTerminal);
on("stop", "click", async () => void (await box?.stop()));
on("start", "click", start);
on("remove", "click", async (event) => {
  const button = event.currentTarget ?? event.target;
  if (!confirmed(button as HTMLButtonElement, "Remove it and its files?")) return;
  await box?.remove({ force: true });
  location.hash = "";
});
on("upload", "change", async ({ target }) => {
  const input = target as HTMLInputElement;
  try {
    await upload([...(input.files ?? [])]);
  } finally {
    progress.hide();
    input.value = "";
  }
});
on("pull", "click", async () => {
  try {
    await client.pull(imageSelect.value, {
      onProgress: ({ loadedBytes, totalBytes }) =>
        progress.showBytes(`Fetching ${imageSelect.value}`, loadedBytes, totalBytes),
    });
    kept.add(imageSelect.value);
    showImage();
    say(`${imageSelect.value} works without a network now`);
  } finally {
    progress.hide();
  }
});
imageSelect.addEventListener("change", showImage);
command.addEventListener("keydown", (event) => {
  if (event.key === "Escape") command.value = "";
  // As in a terminal, unless it copies what is selected.
  if (event.key === "c" && event.ctrlKey && command.selectionStart === command.selectionEnd)
    void attempt(() => transcript.cancel());
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  event.preventDefault();
  command.value = event.key === "ArrowUp" ? history.back(command.value) : history.forward(command.value);
});
byId("box").addEventListener("dragover", (event) => event.preventDefault());
byId("box").addEventListener("drop", (event) => {
  event.preventDefault();
  void attempt(() => upload([...(event.dataTransfer?.files ?? [])]).finally(() => progress.hide()));
});

function sizeOf({ name, downloadBytes, totalBytes }: ImageInfo): string {
  return kept.has(name)
    ? `${megabytes(totalBytes)}, kept for offline use.`
    : `${megabytes(downloadBytes)} to begin with, ${megabytes(totalBytes)} in all.`;
}

function showImage(): void {
  const image = images.find(({ name }) => name === imageSelect.value);
  byId("image-note").textContent = image ? `${image.description}. ${sizeOf(image)}` : "";
  byId("pull").hidden = image !== undefined && kept.has(image.name);
}

await attempt(async () => {
  images = (await client.images()).sort((a, b) => a.totalBytes - b.totalBytes);
  imageSelect.replaceChildren(...images.map(({ name }) => new Option(name)));
  showImage();
  const boxes = await client.listBoxes();
  const wanted = boxes.find(({ id }) => `#${id}` === location.hash) ?? boxes[0];
  if (wanted) await choose(wanted.id);
});
document.documentElement.dataset["ready"] = "yes";
followOthers().catch(showError);
// Where nothing can be kept, each part is fetched when a box first needs it.
keepSmallest().catch(() => {});

// Without one the page still works, but not after a reload without a network.
if ("serviceWorker" in navigator) {
  navigator.serviceWorker
    .register("worker.js")
    .then(() => navigator.serviceWorker.ready)
    .then(({ active }) => active?.postMessage("loaded"))
    .catch((error) => console.info(`no reload without a network: ${error.message}`));
}
