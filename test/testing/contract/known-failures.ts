const PROGRESS = "the API does not tell how far the creation of a box is";
const ENDS_CLIENT = "a server's boxes are not its client's: they go on when it closes";

const OVER_HTTP = {
  "reports progress, in order, up to ready": PROGRESS,
  "fails a creation whose progress callback throws, and leaves no box": PROGRESS,
  "gives up a creation at once when it is aborted, and leaves no box": PROGRESS,
  "cancels what runs when the client closes": ENDS_CLIENT,
};

const FROM_WORKERD = {
  ...OVER_HTTP,
  "cancels the source of an upload that is refused":
    "its fetch gives no answer before it has sent the whole body: the source is read to its end",
};

const FROM_A_PAGE = {
  ...OVER_HTTP,
  "cancels the source of an upload that is refused":
    "a browser cannot send what is still being made: the source is read to its end before the server is asked",
};

const NO_STDIN = "the published API gives commands no stdin";
const NO_SIGNAL = "the published API sends no signals";
const NO_BYTES = "the published API sends output as text";
const NO_IMAGE = "the published API does not tell what really runs";
const NO_TRUNCATED = "the published API does not tell that output was dropped";
const NO_USAGE = "the published API does not tell what a box takes";

const NO_RULES = "the published API has networks, and no rules for them";

const NO_FILES = "the published API does nothing with files by itself: scripts do it, which know less";

const OVER_PLAIN_HTTP = {
  ...OVER_HTTP,
  "fills in the defaults and says what runs": NO_IMAGE,
  "boots cold where no snapshot fits, and gives the same box": NO_IMAGE,
  "describes itself and its images": "the published API lists neither capabilities nor images",
  "tells what a box takes, and how much it may": NO_USAGE,
  "returns every byte value as it was written": NO_BYTES,
  "gives a character whole that is split over two chunks, and its bytes as they came": NO_BYTES,
  "echoes 5 MB of stdin through cat, by hash": NO_STDIN,
  "takes stdin as text, bytes and Blob": NO_STDIN,
  "does not hang on stdin that the command does not read": NO_STDIN,
  "cancels the command when its stdin fails": NO_STDIN,
  "writes to stdin and closes it": NO_STDIN,
  "refuses stdin for a command that has ended, so that a pipe into it stops": NO_STDIN,
  "replaces a file whole: who has the old one open goes on reading the old one": NO_STDIN,
  "cancels: the group is gone, the status says so, the code is null": NO_SIGNAL,
  "sends signals by name": NO_SIGNAL,
  "never waits for a reader that is not there, and says that output was dropped": NO_TRUNCATED,
  "cancels a command that prints without end, read or not": NO_TRUNCATED,
  "does what takes a moment without a command in the box": NO_FILES,
  "tells a link in a circle from one to nothing": NO_FILES,
  'gives a box the network {"allow":["pypi.org"]}, or says why not': NO_RULES,
  "lets boxes of one LAN connect by name, and to nothing else without a rule": NO_RULES,
};

const NO_CREATE_CODES = "the published server calls everything that a box cannot be made for RUNTIME_ERROR";
const NO_REASON =
  "the published server does not tell why a command could not be started: it ends with 126 or 127";

const NO_LAST_WORDS = "the published server does not tell what ended a box: its commands are BOX_NOT_RUNNING";

const OVER_PUBLISHED = {
  ...OVER_PLAIN_HTTP,
  'refuses {"memoryMb":95} and names the option': NO_CREATE_CODES,
  'refuses {"memoryMb":2049} and names the option': NO_CREATE_CODES,
  'refuses {"diskSizeGb":65} and names the option': NO_CREATE_CODES,
  "lists the images there are when asked for one there is not": NO_CREATE_CODES,
  "says so when the workdir cannot be made": NO_CREATE_CODES,
  ...Object.fromEntries(
    ["relative:/work", "/no/such/directory:/work", "/etc/passwd:/work", ".:/", ".:/work/../etc"]
      .concat(".:/proc/self", ".:/dev")
      .map((volume) => [`refuses ${JSON.stringify(volume)}, or any volume`, NO_CREATE_CODES]),
  ),
  "refuses two volumes at one place, and more than there may be": NO_CREATE_CODES,
  "refuses a workdir that is missing, a file, or relative": NO_REASON,
  "refuses a command line that Linux would refuse, and says what is too long, by how much, and the limit":
    NO_REASON,
  "says in words of the API what is wrong with a path": NO_REASON,
  "kills a command that fills the memory, and nothing else":
    "the published server does not tell that the memory ran out",
  "hands output to the callbacks as it comes, text whole":
    "the published server damages characters that are cut in two",
  "cancels what runs when the box is stopped, and remembers it":
    "the published server does not tell a stop from a box that broke down: commands are lost, BOX_NOT_RUNNING",
  "ends in status error, with the kernel's last words, when the kernel panics": NO_LAST_WORDS,
  "ends in status error when the guest resets its machine": NO_LAST_WORDS,
};

const TERMINALS = [
  "carries what is typed and what is shown, and the shell's exit code",
  "is a terminal of the size and kind that was asked for",
  "tells a running program of another size",
  "interrupts, stops and continues commands by its keys",
  "shows an editor, in which a file is written",
  "ends what runs on it when it is closed, in its background, too",
  "is one of many, each with its own",
  "waits for its reader, holds up no command meanwhile, and loses nothing",
  "ends with its box",
];
const PORTS = [
  "refuses a port where nothing listens, and says so when waiting for one",
  "connects to a server of the box, each direction to its own end",
  "sends requests to a server of the box",
  "makes a port of this machine lead to a server of the box, where this is not a page",
  "holds up a server that nobody reads, and nothing else",
  "resets a connection by its close, which may be taken from it",
  "ends its connections when the box stops",
];
const withoutSockets = (cases: readonly string[]) =>
  Object.fromEntries(
    cases.map((name) => [name, "it is a WebSocket, and a fetch that is a function opens none"]),
  );

/** Reasons why cases of the contract cannot pass on a kind of target, by the exact names of the cases. */
export const KNOWN_FAILURES = {
  /** Over any server. */
  overHttp: OVER_HTTP,
  /** Over a server, from workerd. */
  fromWorkerd: FROM_WORKERD,
  /** Over a server, from a page. */
  fromPage: FROM_A_PAGE,
  /** Over a server of the published API alone. */
  overPlainHttp: OVER_PLAIN_HTTP,
  /** Over the published server as it behaves. */
  overPublished: OVER_PUBLISHED,
  /** Of a handler that is called as a function. */
  withoutSockets: withoutSockets([...TERMINALS, ...PORTS]),
  /** Of one without ports, which says so: the cases of ports pass. */
  withoutTerminals: withoutSockets(TERMINALS),
} satisfies Record<string, Readonly<Record<string, string>>>;
