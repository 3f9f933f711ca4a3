/**
 * A page of test/runtimes that uses the site below class/ as somebody would, in a frame, by its fields and buttons: in one visit with its server, and in two without. It reports after each,
 * to a server that stays; the answer to the first comes when the site's own server is gone.
 */
const frame = document.querySelector("iframe");
const settings = new URLSearchParams(location.search);

async function report(visit) {
  await fetch(settings.get("reports"), { method: "POST", body: JSON.stringify(visit) });
}

/** Loads the site, or loads it again. Resolves when it can be used. */
async function visit() {
  const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  if (frame.src) frame.contentWindow.location.reload();
  else frame.src = "class/";
  await loaded;
  await seen(() => find("html[data-ready]"));
}

const find = (selector) => frame.contentDocument.querySelector(selector);

/** Resolves to what `look` finds in the frame, as soon as it does. Rejects when the site shows an error. */
function seen(look) {
  return new Promise((resolve, reject) => {
    const check = () => {
      const found = look();
      const problem = find("#message:not([hidden])");
      if (!found && !problem) return;
      observer.disconnect();
      if (found) resolve(found);
      else reject(new Error(problem.textContent));
    };
    const observer = new MutationObserver(check);
    const all = { subtree: true, childList: true, attributes: true, characterData: true };
    observer.observe(frame.contentDocument, all);
    check();
  });
}

async function keptForLater() {
  await frame.contentWindow.navigator.serviceWorker.ready;
  await seen(() => find("#image-note").textContent.includes("kept for offline use"));
}

async function create() {
  find("#memory").value = "256";
  find("#create").requestSubmit();
  await seen(() => find("#box:not([hidden]) #command:enabled") && find("#create-button:enabled"));
}

async function start() {
  // Until the browser has noticed that the earlier visit is over, the box is that one's.
  (await seen(() => find("#box:not([hidden]) #start:not([hidden])"))).click();
  await seen(() => find("#box:not([hidden]) #command:enabled"));
}

/** Runs a command. Returns what it printed and how it ended. */
async function run(command) {
  const before = frame.contentDocument.querySelectorAll("#log li").length;
  find("#command").value = command;
  find("#composer").requestSubmit();
  await seen(() => frame.contentDocument.querySelectorAll("#log li").length > before);
  const entry = find("#log li:last-child");
  await seen(() => entry.querySelector("small").textContent !== "running…" && find("#cancel[hidden]"));
  const [ended] = entry.querySelector("small").textContent.split(",");
  return `${entry.querySelector("pre").textContent}${ended}`;
}

const write = async () => {
  await create();
  return { wrote: await run("echo kept > note.txt; cat note.txt; sync") };
};

// Of the image, too.
const read = async () => ({ read: await run("cat note.txt; wc -l < /etc/passwd") });

try {
  const boxFirst = settings.has("boxFirst");
  await visit();
  const first = boxFirst ? await write() : {};
  await keptForLater();
  await report(first);
  await visit();
  if (boxFirst) await start();
  await report(boxFirst ? await read() : await write());
  await visit();
  await start();
  await report(await read());
} catch (error) {
  await report({ error: String(error) });
}
