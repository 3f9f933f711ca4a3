/** The options of the command line by what the API calls them. */
const FLAGS: Readonly<Record<string, string>> = {
  memoryMb: "--memory",
  memory_mb: "--memory",
  diskSizeGb: "--disk",
  disk_size_gb: "--disk",
  timeoutMs: "--timeout",
  timeout_ms: "--timeout",
  baseUrl: "--server",
  socketPath: "--server",
  allowOrigins: "--allow-origin",
  hostPort: "HOST_PORT",
  previewDomain: "--preview-domain",
  "relay.token": "--relay-token",
  "local.relay": "--relay-url",
  "local.previewUrl": "--preview-url",
};

/** Those whose names are words, too: only the beginning of a message is one of them. */
const WORDS: Readonly<Record<string, string>> = {
  ...{ workdir: "--workdir", env: "--env", token: "--token", image: "IMAGE", cmd: "COMMAND" },
  ...{ host: "--host", port: "--port", state: "--state", volumes: "--volume" },
};

/** The parts of a volume. */
const VOLUME_PARTS: Readonly<Record<string, string>> = { hostPath: "HOST_DIR", guestPath: "BOX_DIR" };

/** A secret, its value, its hosts or one of these. */
const SECRET = /(?<![.\w])secrets\.([A-Za-z_]\w*)(?:\.(value|hosts))?(\[\d+\])?/g;

/** A name by itself. Text in quotes is the user's, and so are paths. */
const FLAG = new RegExp(
  `"(?:[^"\\\\]|\\\\.)*"|(?<![-./\\w])(?:${Object.keys(FLAGS).join("|")})(?![-/\\w])`,
  "g",
);
const START = "^((?:[A-Z]+ /\\S+: )?)";
const WORD = new RegExp(`${START}(${Object.keys(WORDS).join("|")})(?=[. ]\\S|: )`);
const VOLUME = new RegExp(
  `${START}(?:the (hostPath) of a volume|volumes\\[\\d+\\]\\.(guestPath|hostPath))(?= )`,
);
const RULE = new RegExp(`${START}(?:local\\.)?network\\.(allow|deny)\\[\\d+\\](?= )`);

/** Returns an error's message with the names that the user of the command line knows. `socketPath` is what the command calls its socket. */
export function inFlags(message: string, socketPath = "--server"): string {
  return message
    .replace(
      VOLUME,
      (_all, line: string, host?: string, part = host) => `${line}${VOLUME_PARTS[part!]} of --volume`,
    )
    .replace(RULE, (_all, line: string, list: string) => `${line}--${list}`)
    .replace(WORD, (_all, line: string, name: string) => line + WORDS[name])
    .replace(SECRET, (_all, name: string, part?: string, index?: string) => {
      if (part === "value") return `the variable ${name}`;
      return index === undefined ? `--secret ${name}` : `a host of --secret ${name}`;
    })
    .replace(FLAG, (name) => (name === "socketPath" ? socketPath : (FLAGS[name] ?? name)));
}
