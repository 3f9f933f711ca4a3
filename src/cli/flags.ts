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
  volumes: "--volume",
};

/** Those whose names are words, too: only what a message begins with is one of them. */
const WORDS: Readonly<Record<string, string>> = {
  ...{ workdir: "--workdir", env: "--env", token: "--token", image: "IMAGE", cmd: "COMMAND" },
  ...{ host: "--host", port: "--port", state: "--state" },
};

/** A secret, its value, its hosts or one of these. */
const SECRET = /(?<![.\w])secrets\.([A-Za-z_]\w*)(?:\.(value|hosts))?(\[\d+\])?/g;

const FLAG = new RegExp(`(?<![.\\w])(?:${Object.keys(FLAGS).join("|")})(?!\\w)`, "g");
const WORD = new RegExp(`^((?:[A-Z]+ /\\S+: )?)(${Object.keys(WORDS).join("|")})(?=[. ]\\S)`);

/** Returns an error's message with the names that the user of the command line knows. `socketPath` is what the command calls its socket. */
export function inFlags(message: string, socketPath = "--server"): string {
  return message
    .replace(WORD, (_all, line: string, name: string) => line + WORDS[name])
    .replace(SECRET, (_all, name: string, part?: string, index?: string) => {
      if (part === "value") return `the variable ${name}`;
      return index === undefined ? `--secret ${name}` : `a host of --secret ${name}`;
    })
    .replace(FLAG, (name) => (name === "socketPath" ? socketPath : FLAGS[name]!));
}
