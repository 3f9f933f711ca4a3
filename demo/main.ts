import { BoxRunClient, type ImageInfo } from "boxrun";
import { attempt, byId, confirmed, megabytes, on, say, showError } from "./playground/dom.js";
import { keepDraft } from "./playground/draft.js";
import { EditorView } from "./playground/editor-view.js";
import { type Example, loadExamples } from "./playground/examples.js";
import { FileActions } from "./playground/file-actions.js";
import { History } from "./playground/history.js";
import { NetworkView } from "./playground/network-view.js";
import { NewProject, type Wanted } from "./playground/new-project.js";
import { keepPage, keepSmallest, pullImage } from "./playground/offline.js";
import { Panes } from "./playground/panes.js";
import { PreviewView } from "./playground/preview-view.js";
import { Progress } from "./playground/progress.js";
import { type ProjectRecord, ProjectStore } from "./playground/project-store.js";
import { loadSettings } from "./playground/settings.js";
import { TerminalView } from "./playground/terminal-view.js";
import { Transcript } from "./playground/transcript.js";
import { Workspace, type WorkspaceContext } from "./playground/workspace.js";

const settings = await loadSettings();
const client = new BoxRunClient({ backend: "local", local: { ...settings } });
const store = new ProjectStore();
const history = new History();
const progress = new Progress();
const panes = new Panes();
const transcript = new Transcript(byId("log"), showError);
const editor = new EditorView(byId("editor-text"), {
  written: () => preview.reload(),
  error: showError,
});
const preview = new PreviewView(() => panes.showPreview());
const network = new NetworkView(
  settings.relay !== undefined,
  (allowed) => void attempt(() => setNetwork(allowed)),
  showError,
);
const terminal = new TerminalView(byId("terminal"), {
  onEnd: () => panes.showConsole("output"),
  onLeave: () => byId("show-terminal").focus(),
});
const actions = new FileActions(editor, { open: (path) => openFile(path), error: showError });
const context: WorkspaceContext = {
  client,
  store,
  editor,
  transcript,
  changed: () => show(),
  progress: (step) => progress.showStep("Starting Linux", step),
  ports: (box, ports) => preview.takePorts(box, ports),
  error: showError,
};
const command = byId<HTMLInputElement>("command");
const runCommand = byId<HTMLInputElement>("run-command");

let images: ImageInfo[] = [];
let projects: ProjectRecord[] = [];
let workspace: Workspace | undefined;
/** The last change of the project that is open, so that one ends before the next begins. */
let opening: Promise<void> = Promise.resolve();

/** Makes a project of an example, and opens it. */
async function create({ example, image, memoryMb }: Wanted): Promise<void> {
  const taken = new Set(projects.map(({ title }) => title));
  let { title } = example;
  for (let i = 2; taken.has(title); i++) title = `${example.title} ${i}`;
  const record: ProjectRecord = {
    id: crypto.randomUUID(),
    title,
    image,
    memoryMb,
    command: example.command,
    open: example.open,
    network: false,
    openedAt: Date.now(),
  };
  await open(record, example.files);
}

/** Leaves the project that is open, and opens another one. */
function open(record: ProjectRecord, files: Example["files"] = {}): Promise<void> {
  const opened = opening.then(async () => {
    await leave();
    workspace = await Workspace.open(record, files, context);
    globalThis.history.replaceState(null, "", `#${record.id}`);
    projects = await store.list();
    runCommand.value = record.command;
    if (await workspace.files.volume.files.exists(record.open)) await openFile(record.open).catch(showError);
    const { handle } = workspace.box;
    if (handle) await transcript.show(handle);
    editor.focus();
  });
  opening = opened.catch(() => {});
  return opened;
}

async function leave(end: (left: Workspace) => Promise<void> = (left) => left.close()): Promise<void> {
  const left = workspace;
  workspace = undefined;
  await terminal.close();
  transcript.clear();
  preview.takePorts(undefined, []);
  panes.hidePreview();
  panes.showConsole("output");
  actions.leave();
  if (left) await end(left);
}

async function openFile(path: string): Promise<void> {
  await workspace?.openFile(path);
  panes.show("editor");
  await show();
}

async function run(): Promise<void> {
  if (!workspace || !byId<HTMLFormElement>("run-form").reportValidity()) return;
  await saveCommand();
  panes.show("console");
  panes.showConsole("output");
  await workspace.run();
}

async function saveCommand(): Promise<void> {
  if (!workspace || runCommand.value.trim() === workspace.record.command) return;
  workspace.record.command = runCommand.value.trim();
  await store.save(workspace.record);
}

async function runOther(): Promise<void> {
  const text = command.value.trim();
  if (!workspace || text === "") return;
  command.value = "";
  history.add(text);
  await workspace.command(text);
}

async function openTerminal(): Promise<void> {
  if (!workspace) return;
  panes.showConsole("terminal");
  if (terminal.isOpen) return;
  try {
    await terminal.open(await workspace.box.ready());
  } catch (error) {
    panes.showConsole("output");
    throw error;
  }
}

async function setNetwork(allowed: boolean): Promise<void> {
  if (!workspace) return;
  await workspace.box.setNetwork(allowed);
  await store.save(workspace.record);
  say(allowed ? "The network is on" : "The network is off");
}

async function removeProject(): Promise<void> {
  if (!workspace || !confirmed(byId<HTMLButtonElement>("remove"), "Remove it and its files?")) return;
  byId("project-menu").hidePopover();
  await leave((left) => left.remove());
  projects = await store.list();
  const [next] = projects;
  if (next) await open(next);
  else newProject.open();
}

/** Time between two looks at the files, which a program in the box may change all the time. */
const SHOW_MS = 100;
let shownAt = 0;
let showing: Promise<void> | undefined;
/** Shows what is there now, at once or soon, however often something changes. */
function show(): Promise<void> {
  showing ??= (async () => {
    const wait = shownAt + SHOW_MS - performance.now();
    await new Promise((resolve) => setTimeout(resolve, wait));
    showing = undefined;
    shownAt = performance.now();
    await draw().catch(showError);
  })();
  return showing;
}

async function draw(): Promise<void> {
  const shown = workspace;
  const select = byId<HTMLSelectElement>("project");
  select.replaceChildren(...projects.map(({ id, title }) => new Option(title, id)));
  select.value = shown?.record.id ?? "";
  for (const id of ["run", "network", "command", "run-command"])
    byId<HTMLInputElement>(id).disabled = shown === undefined;
  await actions.show(shown?.files);
  if (!shown || shown !== workspace) return;
  const { box, record } = shown;
  if (!box.isStarting) progress.hide();
  const state = box.isStarting
    ? "starting"
    : box.running
      ? "running"
      : (box.handle?.info.status ?? "not started");
  byId("box-state").textContent = `${record.image}: ${state}`;
  byId("box-state").className = `state ${state}`;
  byId("stop-program").hidden = !shown.isRunning;
  byId("run").textContent = shown.isRunning ? "Run again" : "Run";
  byId<HTMLButtonElement>("stop-box").disabled = !box.running;
  network.show(record.network, box.running);
}

/** Shows what the menu tells, each time it opens. */
async function showMenu(): Promise<void> {
  if (!workspace) return;
  const { record, box } = workspace;
  byId<HTMLInputElement>("title").value = record.title;
  const image = images.find(({ name }) => name === record.image);
  const disk = await box.handle?.usage();
  byId("box-facts").textContent = [
    image?.description ?? record.image,
    `${record.memoryMb} MB of memory`,
    ...(disk ? [`${megabytes(disk.diskBytes)} on its disk`] : []),
  ].join(" · ");
  const { usage } = (await navigator.storage?.estimate().catch(() => undefined)) ?? {};
  byId("storage").textContent = store.isKept
    ? `${megabytes(usage ?? 0)} kept in this browser`
    : "This browser keeps nothing: projects end with this page";
}

on("project", "change", async ({ target }) => {
  const record = projects.find(({ id }) => id === (target as HTMLSelectElement).value);
  if (record) await open(record);
});
on("new", "click", async () => newProject.open());
on("run-form", "submit", run);
on("run-command", "change", saveCommand);
on("stop-program", "click", async () => workspace?.stopProgram());
on("composer", "submit", runOther);
on("show-output", "click", async () => panes.showConsole("output"));
on("show-terminal", "click", openTerminal);
on("project-menu", "toggle", showMenu);
on("stop-box", "click", async () => workspace?.box.stop());
on("remove", "click", removeProject);
on("download-all", "click", async () => actions.downloadAll(workspace?.record.title ?? "project"));
on("pull", "click", async () => {
  if (workspace) await pullImage(client, workspace.record.image, progress);
});
on("rename-project", "submit", async () => {
  if (!workspace) return;
  workspace.record.title = byId<HTMLInputElement>("title").value.trim();
  await store.save(workspace.record);
  byId("project-menu").hidePopover();
  await refreshProjects();
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
// Other tabs make and remove projects, too.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") void refreshProjects().catch(showError);
});
addEventListener("pagehide", () => {
  const { file } = editor;
  if (workspace && file) keepDraft({ project: workspace.record.id, ...file });
});

let newProject: NewProject;
await attempt(async () => {
  images = (await client.images()).sort((a, b) => a.totalBytes - b.totalBytes);
  const examples = await loadExamples();
  newProject = new NewProject(images, examples, (wanted) => void attempt(() => create(wanted)));
  projects = await store.list();
  const wanted = projects.find(({ id }) => `#${id}` === location.hash) ?? projects[0];
  const [first] = images;
  const example = examples.find(({ image }) => image === first?.name);
  if (wanted) await open(wanted);
  else if (example && first) await create({ example, image: first.name, memoryMb: 1024 });
  else newProject.open();
});
await show();
document.documentElement.dataset["ready"] = "yes";
void followBoxes().catch(showError);
// Where nothing can be kept, each part is fetched when a box first needs it.
keepSmallest(client, images).catch(() => {});
keepPage();

async function refreshProjects(): Promise<void> {
  projects = await store.list();
  await show();
}

/** Boxes stop and go in other tabs, too, and when they crash. */
async function followBoxes(): Promise<void> {
  for await (const _ of client.watchBoxes()) await workspace?.box.refresh();
}
