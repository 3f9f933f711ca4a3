/** A command as its help describes it. */
interface CommandUsage {
  /** Its arguments, after the name of the program. */
  line: string;
  /** Description in one line. */
  does: string;
  /** Its options; empty for none. */
  options: string;
  /** Further facts, shown below the options. */
  more: string;
}

const SERVER = `\
  --server SERVER       use this server: http://HOST:PORT, https://HOST or unix:PATH
                        (default: a BoxRun server on this machine; without one, this machine)
  --token TOKEN         token of the server; BOXRUN_TOKEN keeps it out of the process list
`;

/** The commands, in the order of the help. */
const COMMANDS: Readonly<Record<string, CommandUsage>> = {
  run: {
    line: "run [OPTIONS] IMAGE -- COMMAND [ARGUMENT...]",
    does: "run COMMAND in a new box of IMAGE, then remove the box",
    options: `\
  --memory MIB          memory of the box in MiB (default 1024; 256 and 1024 start fastest)
  --disk GIB            size of the disk in GiB (default 8)
  -e, --env NAME=VALUE  set an environment variable; can be repeated
  -w, --workdir DIR     working directory of COMMAND (default /root)
  --timeout MS          end COMMAND after this many milliseconds
  -p, --publish H:P     make port H of this machine lead to port P of the box (P alone: the same
                        number; 0:P: a free one); can be repeated
  -v, --volume H:B[:M]  mount directory H of this machine at B in the box, such as .:/work; M is rw (default),
                        or ro: the box only reads it; can be repeated
  --network             let the box connect to public addresses
  --allow RULE          let the box connect to RULE alone (pypi.org, *.example.com:443, 203.0.113.0/24);
                        can be repeated; implies --network
  --deny RULE           do not let the box connect to RULE; can be repeated; implies --network
  --secret NAME=HOST[,HOST]...
                        put the value of this machine's variable NAME into the headers of requests to
                        HOST by HTTPS; the box itself never has it; can be repeated
${SERVER}`,
    more: `run connects COMMAND to this terminal's input and outputs, and exits with its exit code. Ctrl-C
cancels COMMAND. Other exit codes: 124 COMMAND timed out, 125 boxrun failed, 126 COMMAND could not be
executed, 127 COMMAND was not found.
`,
  },
  forward: {
    line: "forward BOX [HOST_PORT:]PORT...",
    does: "make ports of this machine lead to ports of BOX, an id or a name, until Ctrl-C",
    options: SERVER,
    more: `\
PORT alone leads to it from the same number, and 0:PORT from a free one. A box that another program
emulates is reached through its server.
`,
  },
  ls: {
    line: "ls [--json] [--state DIR] [--server SERVER] [--token TOKEN]",
    does: "list the boxes, newest first",
    options: `\
  --json                print all that is known of them, as a JSON array
  --state DIR           list the boxes that this machine keeps in DIR, without looking for a server
${SERVER}`,
    more: `\
The age of a box is the time since it was created. Its status is "creating", "running", "stopped" or
"error".
`,
  },
  serve: {
    line: "serve [OPTIONS]",
    does: "serve the BoxRun HTTP API for boxes that are emulated on this machine",
    options: `\
  --host HOST           address to listen on (default $BOXRUN_HOST, else 127.0.0.1)
  --port PORT           port to listen on, 0 for a free one (default $BOXRUN_PORT, else 9090)
  --socket PATH         Unix socket to listen on (default $BOXRUN_SOCKET); its folder is created
  --token TOKEN         token that clients must send (default $BOXRUN_TOKEN)
  --state DIR           directory that keeps the boxes (default $BOXRUN_STATE_DIR/local, else
                        ~/.local/share/boxrun)
  --allow-origin ORIGIN let web pages of ORIGIN (https://example.com) use the server; can be repeated
  --preview-domain NAME domain of previews (preview.example.com), whose names all lead to the server
                        (default localhost, on a loopback address)
  --allow-volumes DIR   let boxes mount DIR and the directories in it; can be repeated (default none)
  --allow-network       let boxes that are created with a network have one
  --relay               be a relay for boxes in web pages, at /v1/relay/ (Wisp); needs a token
  --relay-token TOKEN   token for the relay alone (default $BOXRUN_RELAY_TOKEN, else --token)
  --allow RULE          with --allow-network or --relay: connect to nothing but RULE; can be repeated
  --deny RULE           with --allow-network or --relay: do not connect to RULE; can be repeated
`,
    more: "serve ends on Ctrl-C. It stops the boxes and keeps their disks.\n",
  },
  assets: {
    line: "assets FOLDER [--image IMAGE]... [--memory MIB]...",
    does: "copy what web pages need of images into FOLDER, to be served with them",
    options: `\
  --image IMAGE         image to copy (default tiny); can be repeated
  --memory MIB          copy only the boot images of boxes of this size, 256 or 1024 (default both);
                        can be repeated; boxes of other sizes start slower
`,
    more: "What an earlier run has written and this one has not is removed; other files are left alone.\n",
  },
  site: {
    line: "site FOLDER [--image IMAGE]... [--preview-url URL] [--relay-url URL]",
    does: "write a playground with boxes of images into FOLDER, for any host of static files",
    options: `\
  --image IMAGE         image that the page offers (default tiny); can be repeated
  --preview-url URL     origin with the files of boxrun preview, by which the page shows servers of boxes
  --relay-url URL       relay for the network of boxes (wss://HOST/v1/relay/?token=TOKEN; default the
                        page's own fetch); everybody who loads the page can read it
`,
    more: `\
The page has an editor, files, output, a terminal and previews, and works without a network after the
first visit. Files that site has not written itself are left alone: where one is in its way, it writes
nothing.
`,
  },
  preview: {
    line: "preview FOLDER [--allow-origin ORIGIN]...",
    does: "write the files of an origin for previews into FOLDER, for any host of static files",
    options: `\
  --allow-origin ORIGIN origin of a page that may show previews there (https://example.com); can be
                        repeated (default: pages of this machine)
`,
    more: `\
Serve the folder as the root of an origin that serves nothing else, and name it in your page:
new BoxRunClient({ local: { previewUrl: "https://preview.example.com/" } })
`,
  },
  pull: {
    line: "pull IMAGE",
    does: "download a whole image, so that boxes on this machine need no network",
    options: "",
    more: "",
  },
  images: {
    line: "images [--server SERVER] [--token TOKEN]",
    does: "list the images",
    options: SERVER,
    more: "A star marks the name of another image, which this one stands in for.\n",
  },
};

const GENERAL = `\
  -h, --help            print this help, or that of a command: boxrun run --help
  --version             print the version of boxrun
`;

/** Returns the output of `boxrun --help`, or of `boxrun COMMAND --help`. */
export function usageOf(name: string | undefined): string {
  const command = name === undefined ? undefined : COMMANDS[name];
  if (command === undefined) return usageOfAll();
  const { line, does, options, more } = command;
  const parts = [`Usage: boxrun ${line}\n`, `${does[0]!.toUpperCase()}${does.slice(1)}.\n`];
  if (options) parts.push(`Options:\n${options}`);
  if (more) parts.push(more);
  return parts.join("\n");
}

function usageOfAll(): string {
  const all = Object.entries(COMMANDS);
  const lines = all.map(([, { line }], i) => `${i === 0 ? "Usage: " : "       "}boxrun ${line}\n`);
  const tasks = all.map(([name, { does }]) => `  ${name.padEnd(8)} ${does}\n`);
  const parts = [lines.join(""), tasks.join("")];
  for (const [name, { options, more }] of all) {
    if (options) parts.push(`Options of ${name}:\n${options}`);
    if (more) parts.push(more);
  }
  return [...parts, GENERAL].join("\n");
}
