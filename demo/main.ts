import { BoxRunClient, type ImageInfo } from "boxrun";
import { attempt, byId, confirmed, megabytes, on, say, showError } from "./playground/dom.js";
import { EditorView } from "./playground/editor-view.js";
import { loadExamples } from "./playground/examples.js";
import { FileActions } from "./playground/file-actions.js";
import { History } from "./playground/history.js";
import { NetworkView } from "./playground/network-view.js";
import { NewProject, SMALL_MB, type Wanted } from "./playground/new-project.js";
import { keepPage, keepSmallest, pullImage } from "./playground/offline.js";
import { Panes } from "./playground/panes.js";
import { PreviewView } from "./playground/preview-view.js";
import { Progress } from "./playground/progress.js";
import { type ProjectRecord, ProjectStore } from "./playground/project-store.js";
import { loadSettings, type Settings } from "./playground/settings.js";
import { TerminalView } from "./playground/terminal-view.js";
import { Transcript } from "./playground/transcript.js";
import { freeProjects, Workspace, type WorkspaceContext } from "./playground/workspace.js";

/** Time between two looks at the files, which a program in the box may change all the time. */
const SHOW_MS = 100;

const command = byId<HTMLInputElement>("command");
const runCommand = byId<HTMLInputElement>("run-command");
const select = byId<HTMLSelectElement>("project");

const settings = await loadSettings().catch((error): Settings => {
  showError(error);
  return {};
});
const client = new BoxRunClient({ backend: "local", local: { ...settings } });
const store = await ProjectStore.open();
const history = new History();
const progress = new Progress();
const panes = new Panes();
const transcript = new Transcript(byId("log"), showError);
const preview = new PreviewView(settings.previewUrl !== undefined, () => panes.showPreview());
const editor = new EditorView(byId("editor-text"), {
  written: () => preview.reload(),
  error: showError,
});
const network = new NetworkView(
  settings.relay !== undefined,
  (allowed) => void attempt(() => setNetwork(allowed)),
  showError,
);
const terminal = new TerminalView(byId("terminal"), {
  onEnd: () => panes.showConsole("output"),
  onLeave: () => byId("show-terminal").focus(),
});
const actions = new FileActions(editor, openFile);
const context: WorkspaceContext = {
  ...{ client, store, editor, transcript },
  changed: () => void show(),
  progress: (step) => progress.showStep("Starting Linux", step),
  ports: (box, ports) => preview.takePorts(box, ports),
  error: showError,
};

let images: ImageInfo[] = [];
let projects: ProjectRecord[] = [];
let newProject: NewProject | undefined;
let workspace: Workspace | undefined;
/** The last change of the project that is open, so that one ends before the next begins. */
let changing: Promise<void> = Promise.resolve();
let shownAt = 0;
let showing: Promise<void> | undefined;

/** Returns an id for a project: short, since its box has it as host name, and prompts show that. */
function newId(): string {
  const taken = new Set(projects.map(({ id }) => id));
  let id: string;
  // Pages without https lack crypto.randomUUID. A host name of digits alone would be read as an address.
  do id = `p${crypto.getRandomValues(new Uint32Array(1))[0]!.toString(36)}`;
  while (taken.has(id));
  return id;
}

/** Makes a project of an example, and opens it. */
function create({ example, image, memoryMb }: Wanted): Promise<void> {
  const taken = new Set(projects.map(({ title }) => title));
  let { title } = example;
  for (let i = 2; taken.has(title); i++) title = `${example.title} ${i}`;
  const { command, open } = example;
  const made = { id: newId(), title, image, memoryMb, command, open };
  const record: ProjectRecord = { ...made, network: false, openedAt: Date.now() };
  return change(async () => {
    await enter(await Workspace.create(record, example.files, context));
    editor.focus();
  });
}

/** Opens another project. One that cannot be opened leaves open what was open. */
function open(id: string): Promise<void> {
  return change(async () => {
    if (id !== workspace?.record.id) await enter(await Workspace.open(id, context));
  });
}

async function enter(opened: Workspace): Promise<void> {
  try {
    await leave();
  } catch (error) {
    await opened.close();
    throw error;
  }
  workspace = opened;
  const { record, files, box } = opened;
  globalThis.history.replaceState(null, "", `#${record.id}`);
  runCommand.value = record.command;
  if (await files.volume.files.exists(record.open)) await openFile(record.open).catch(showError);
  if (box.handle) await transcript.show(box.handle);
}

/** Leaves the project that is open. Rejects, and goes on with it, when something cannot be kept. */
async function leave(end: (left: Workspace) => Promise<void> = (left) => left.close()): Promise<void> {
  const left = workspace;
  if (left) await end(left);
  workspace = undefined;
  // It is about this project.
  byId("project-menu").hidePopover();
  await terminal.close();
  transcript.clear();
  panes.hidePreview();
  panes.showConsole("output");
  actions.leave();
}

/** Changes which project is open, after all such changes that were asked for before. */
function change(work: () => Promise<void>): Promise<void> {
  const changed = changing.then(work).finally(refreshProjects);
  changing = changed.catch(() => {});
  return changed;
}

async function openFile(path: string): Promise<void> {
  await workspace?.openFile(path);
  panes.show("editor");
  await show();
}

async function run(): Promise<void> {
  await changing;
  if (!workspace || !byId<HTMLFormElement>("run-form").reportValidity()) return;
  panes.show("console");
  panes.showConsole("output");
  await saveCommand();
  await workspace.run();
}

async function saveCommand(): Promise<void> {
  if (!workspace) return;
  workspace.record.command = runCommand.value.trim();
  await workspace.save();
}

async function runOther(): Promise<void> {
  const text = command.value.trim();
  if (text === "") return;
  command.value = "";
  await changing;
  if (!workspace) {
    command.value = text;
    return;
  }
  history.add(text);
  await workspace.command(text);
}

async function openTerminal(): Promise<void> {
  await changing;
  if (!workspace) return;
  panes.showConsole("terminal");
  try {
    await terminal.open(await workspace.box.ready());
  } catch (error) {
    panes.showConsole("output");
    throw error;
  }
}

async function setNetwork(allowed: boolean): Promise<void> {
  try {
    await workspace?.box.setNetwork(allowed);
    await workspace?.save();
    say(allowed ? "The network is on" : "The network is off");
  } finally {
    await show();
  }
}

async function removeProject(): Promise<void> {
  if (!workspace) return;
  const wanted = workspace;
  const button = byId<HTMLButtonElement>("remove");
  if (!confirmed(button, "Remove it and its files?", wanted.record.id)) return;
  byId("project-menu").hidePopover();
  await change(async () => {
    if (workspace !== wanted)
      throw new Error(`“${wanted.record.title}” is not removed, since another project was opened meanwhile`);
    await leave((left) => left.remove());
  });
  const [next] = await freeProjects(projects);
  if (next) await open(next.id);
  else newProject?.open();
}

async function rename(): Promise<void> {
  const title = byId<HTMLInputElement>("title").value.trim();
  if (!workspace || title === "") return;
  workspace.record.title = title;
  await workspace.save();
  byId("project-menu").hidePopover();
  await refreshProjects();
}

async function refreshProjects(): Promise<void> {
  projects = await store.list();
  select.replaceChildren(...projects.map(({ id, title }) => new Option(title, id)));
  await show();
}

/** Shows what is there now, at once or soon, however often something changes. */
function show(): Promise<void> {
  showing ??= (async () => {
    await new Promise((resolve) => setTimeout(resolve, shownAt + SHOW_MS - performance.now()));
    showing = undefined;
    shownAt = performance.now();
    await draw().catch(showError);
  })();
  return showing;
}

async function draw(): Promise<void> {
  const { box, record, isRunning = false, files } = workspace ?? {};
  select.value = record?.id ?? "";
  for (const id of ["run", "network", "command", "run-command", "show-terminal"])
    byId<HTMLInputElement>(id).disabled = record === undefined;
  const state = box?.isStarting ? "starting" : (box?.handle?.info.status ?? "not started");
  byId("box-state").textContent = record ? `${record.image}: ${state}` : "";
  byId("box-state").className = `state ${state}`;
  byId("stop-program").hidden = !isRunning;
  byId("run").textContent = isRunning ? "Run again" : "Run";
  byId<HTMLButtonElement>("stop-box").disabled = !box?.running;
  for (const id of ["download-all", "pull", "remove", "title"])
    byId<HTMLInputElement>(id).disabled = record === undefined;
  if (!box?.isStarting && progress.isOfStart) progress.hide();
  network.show(record?.network ?? false, box?.running);
  await actions.show(files);
}

/** Fills the menu each time it opens. */
async function showMenu(event: Event): Promise<void> {
  // A project whose removal closes the menu has no box to ask.
  if ((event as ToggleEvent).newState !== "open") return;
  // Before anything takes time, since the title can be typed at once.
  byId<HTMLInputElement>("title").value = workspace?.record.title ?? "";
  const { usage } = (await navigator.storage?.estimate().catch(() => undefined)) ?? {};
  byId("storage").textContent = store.isKept
    ? `${megabytes(usage ?? 0)} kept in this browser`
    : "This browser keeps nothing: projects end with this page";
  if (!workspace) return;
  const { record, box } = workspace;
  const image = images.find(({ name }) => name === record.image);
  const disk = await box.handle?.usage();
  byId("box-facts").textContent = [
    image?.description ?? record.image,
    `${record.memoryMb} MB of memory`,
    ...(disk ? [`${megabytes(disk.diskBytes)} on its disk`] : []),
  ].join(" · ");
}

on("project", "change", () => open(select.value));
on("new", "click", async () => newProject?.open());
on("run-form", "submit", run);
on("run-command", "change", saveCommand);
on("stop-program", "click", async () => workspace?.stopProgram());
on("composer", "submit", runOther);
on("show-output", "click", async () => panes.showConsole("output"));
on("show-terminal", "click", openTerminal);
on("project-menu", "beforetoggle", showMenu);
on("stop-box", "click", async () => workspace?.box.stop());
on("remove", "click", removeProject);
on("rename-project", "submit", rename);
on("download-all", "click", async () => actions.downloadAll(workspace?.record.title ?? "project"));
on("pull", "click", async () => {
  if (workspace) await pullImage(client, workspace.record.image, progress);
});
command.addEventListener("keydown", (event) => {
  if (event.key === "Escape") command.value = "";
  // As in a terminal, unless it copies what is selected.
  if (event.key === "c" && event.ctrlKey && command.selectionStart === command.selectionEnd)
    void attempt(() => transcript.cancelLast());
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  event.preventDefault();
  command.value = event.key === "ArrowUp" ? history.back(command.value) : history.forward(command.value);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
  // Programs in the terminal have their keys, and the dialog has its own.
  if (byId("terminal").contains(event.target as Node) || byId<HTMLDialogElement>("new-project").open) return;
  event.preventDefault();
  void attempt(run);
});
document.addEventListener("visibilitychange", () => {
  // Phones end a page that is hidden without a word. And other tabs make and remove projects, too.
  if (document.visibilityState === "hidden") workspace?.keepDraft();
  else refreshProjects().catch(showError);
});
addEventListener("pagehide", () => {
  workspace?.keepDraft();
  workspace?.files.save().catch(() => {});
});

await attempt(async () => {
  network.capability = (await client.info()).capabilities.network;
  await refreshProjects();
  images = (await client.images()).sort((a, b) => a.totalBytes - b.totalBytes);
  const examples = await loadExamples();
  newProject = new NewProject(images, examples, (wanted) => void attempt(() => create(wanted)));
  const named = projects.find(({ id }) => `#${id}` === location.hash);
  const [free] = await freeProjects(projects);
  const wanted = named ?? free;
  const [smallest] = images;
  const example = examples.find(({ image }) => image === smallest?.name);
  if (wanted) await open(wanted.id);
  else if (example) await create({ example, image: example.image, memoryMb: SMALL_MB });
  else newProject.open();
  editor.focus();
});
await show();
document.documentElement.dataset["ready"] = "yes";
void followBoxes().catch(showError);
// Where nothing can be kept, each part is fetched when a box first needs it.
keepSmallest(client, images).catch(() => {});
keepPage();

/** Boxes stop and go in other tabs, too, and when they crash. */
async function followBoxes(): Promise<void> {
  for await (const _ of client.watchBoxes()) await workspace?.box.refresh().catch(showError);
}
