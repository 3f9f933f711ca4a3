/**
 * A page of test/runtimes that uses the site below class/ as somebody would, in a frame, by its fields and buttons: in one visit with its server, and in two without. It reports after each,
 * to a server that stays; the answer to the first comes when the site's own server is gone.
 */
import { Playground } from "./in-playground.mjs";

const settings = new URLSearchParams(location.search);
const playground = new Playground(document.querySelector("iframe"));

async function report(visit) {
  await fetch(settings.get("reports"), { method: "POST", body: JSON.stringify(visit) });
}

const write = async () => {
  await playground.type("console.log('typed');");
  const ran = await playground.run();
  const wrote = await playground.command(
    "echo in the project > made.txt; echo on the disk > /root/note.txt; cat made.txt /root/note.txt; sync",
  );
  await playground.saved("/made.txt");
  return { ran, wrote };
};

// Of the image, too.
const read = async () => ({
  shown: playground.text(),
  ran: await playground.run(),
  read: await playground.command("cat made.txt /root/note.txt; wc -l < /etc/passwd"),
});

try {
  const runsFirst = settings.has("runsFirst");
  await playground.visit("class/");
  const first = runsFirst ? await write() : {};
  await playground.kept();
  await report(first);
  await playground.visit("class/");
  await report(runsFirst ? await read() : await write());
  await playground.visit("class/");
  await report(await read());
} catch (error) {
  await report({ error: String(error?.stack ?? error) });
}
