import { parseArgs } from "node:util";

export const USAGE = `Usage: boxrun run [OPTIONS] IMAGE -- COMMAND [ARGUMENT...]
       boxrun serve [--host HOST] [--port PORT] [--socket PATH] [--token TOKEN] [--state DIR]
                    [--allow-origin ORIGIN]
       boxrun pull IMAGE
       boxrun images [--server SERVER] [--token TOKEN]
       boxrun --version

run: COMMAND in a new box of IMAGE, with this terminal's input and outputs; exits with its code.
Ctrl-C cancels it. 124: --timeout was over. 125: boxrun itself failed. 126, 127: COMMAND could not be
run, was not found. A BoxRun server is used if one answers, else the box is emulated here.

serve: the BoxRun HTTP API over boxes emulated here, which outlive it. On 127.0.0.1:9090 unless told
otherwise; BOXRUN_HOST, BOXRUN_PORT, BOXRUN_SOCKET and BOXRUN_TOKEN are used where an option is
missing. Ctrl-C stops the boxes, with their disks kept. Pages of ORIGIN (https://example.com) may use it;
may be given many times.

pull: fetches all of IMAGE to this machine, so that boxes emulated here need no network.

Options of run:
  --memory MB       memory of the box, in MiB (default 1024; 256 and 1024 start fastest)
  --disk GB         size of the box's disk, in GiB (default 8)
  -e, --env NAME=VALUE
                    an environment variable; may be given many times
  -w, --workdir DIR where COMMAND starts (default /root)
  --timeout MS      end COMMAND after this long
  --server SERVER   this BoxRun server and no other: http://HOST:PORT, https://HOST or unix:PATH
  --token TOKEN     what the server wants; better in BOXRUN_TOKEN, which is not in the list of processes
  -h, --help        this text
  --version         the version of boxrun
`;

/** The error of a command line that makes no sense. The message says why. */
export class UsageError extends Error {}

/** Options that name a server. Without them, the client looks for one. */
export interface ServerOptions {
  /** "http://…", "https://…" or "unix:PATH". */
  server?: string;
  token?: string;
}

/** Parsed arguments of `boxrun run`. */
export interface RunCommand extends ServerOptions {
  name: "run";
  image: string;
  cmd: string[];
  box: { memoryMb?: number; diskSizeGb?: number; workdir?: string; env: Record<string, string> };
  timeoutMs?: number;
}

/** Parsed arguments of `boxrun serve`. */
export interface ServeCommand {
  name: "serve";
  host?: string;
  port?: number;
  socketPath?: string;
  token?: string;
  state?: string;
  allowOrigins?: string[];
}

/** A parsed command line. */
export type CliCommand =
  | RunCommand
  | ServeCommand
  | { name: "pull"; image: string }
  | ({ name: "images" } & ServerOptions)
  | { name: "help" | "version" };

const OPTIONS_OF = new Map([
  ["run", ["memory", "disk", "env", "workdir", "timeout", "server", "token"]],
  ["serve", ["host", "port", "socket", "token", "state", "allow-origin"]],
  ["pull", []],
  ["images", ["server", "token"]],
]);

/** Parses the arguments after the name of the program. @throws {UsageError} when they make no sense */
export function parseCommandLine(args: string[]): CliCommand {
  const separator = args.indexOf("--");
  const own = separator < 0 ? args : args.slice(0, separator);
  const { values, positionals } = parseOptions(own, separator >= 0);
  const [name, ...rest] = positionals;
  const operands = separator < 0 ? rest : [...rest, ...args.slice(separator + 1)];
  if (values.help || name === "help") return { name: "help" };
  if (values.version) return { name: "version" };
  if (name === undefined) throw new UsageError("which command?");
  const takes = OPTIONS_OF.get(name);
  if (!takes) throw new UsageError(`there is no command ${name}`);
  requireValues(name, takes, values);
  if (name === "pull") {
    const [image, ...beyond] = operands;
    if (image === undefined) throw new UsageError("pull needs an image");
    if (beyond.length > 0) throw new UsageError(`pull takes one image, got ${[image, ...beyond].join(" ")}`);
    return { name, image };
  }
  if (name !== "run" && operands.length > 0) throw new UsageError(`${name} takes no argument`);
  if (name === "images") return { name, ...parseServer(values) };
  if (name === "serve") {
    const { host, port, socket, token, state, "allow-origin": origins } = values;
    return {
      name: "serve",
      ...(host !== undefined && { host }),
      ...(port !== undefined && { port: parsePort(port) }),
      ...(socket !== undefined && { socketPath: socket }),
      ...(token !== undefined && { token }),
      ...(state !== undefined && { state }),
      ...(origins && { allowOrigins: origins.map(parseOrigin) }),
    };
  }

  const [image, ...beyond] = rest;
  if (image === undefined) throw new UsageError("run needs an image");
  if (beyond.length > 0)
    throw new UsageError(`put -- before the command: boxrun run ${image} -- ${beyond.join(" ")}`);
  const cmd = separator < 0 ? [] : args.slice(separator + 1);
  if (cmd.length === 0) throw new UsageError(`run needs a command: boxrun run ${image} -- COMMAND`);
  return {
    name: "run",
    image,
    cmd,
    ...parseServer(values),
    box: {
      env: Object.fromEntries((values.env ?? []).map(parseVariable)),
      ...(values.memory !== undefined && { memoryMb: parseNumber("memory", values.memory) }),
      ...(values.disk !== undefined && { diskSizeGb: parseNumber("disk", values.disk) }),
      ...(values.workdir !== undefined && { workdir: values.workdir }),
    },
    ...(values.timeout !== undefined && { timeoutMs: parseNumber("timeout", values.timeout) }),
  };
}

type Options = ReturnType<typeof parseOptions>["values"];

function parseServer({ server, token }: Options): ServerOptions {
  if (server !== undefined && !/^(https?:\/\/|unix:)./.test(server))
    throw new UsageError(`--server takes http://HOST:PORT, https://HOST or unix:PATH, and ${server} is none`);
  return { ...(server !== undefined && { server }), ...(token !== undefined && { token }) };
}

function parseOptions(args: string[], separated: boolean) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        memory: { type: "string" },
        disk: { type: "string" },
        env: { type: "string", short: "e", multiple: true },
        workdir: { type: "string", short: "w" },
        timeout: { type: "string" },
        host: { type: "string" },
        port: { type: "string" },
        socket: { type: "string" },
        server: { type: "string" },
        token: { type: "string" },
        state: { type: "string" },
        "allow-origin": { type: "string", multiple: true },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean" },
      },
    });
  } catch (error) {
    // An unknown option may belong to the command: "boxrun run tiny ls -l".
    if (args[0] === "run" && !separated)
      throw new UsageError("put -- before the command: boxrun run [OPTIONS] IMAGE -- COMMAND");
    // The text after the first sentence is advice for programs that do not use "--" themselves.
    throw new UsageError((error as Error).message.split(/\.\s/)[0]);
  }
}

/** Refuses unknown and empty options. An empty one is usually an unset variable of the shell. */
function requireValues(name: string, takes: readonly string[], values: Options): void {
  for (const [option, value] of Object.entries(values)) {
    if (!takes.includes(option)) throw new UsageError(`${name} takes no --${option}`);
    if (value === "") throw new UsageError(`--${option} is empty: is a variable not set?`);
  }
}

function parseNumber(option: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`--${option} must be an integer, got ${text}`);
  return Number(text);
}

function parsePort(text: string): number {
  const port = parseNumber("port", text);
  if (port > 65_535) throw new UsageError(`--port must be an integer from 0 to 65535, got ${text}`);
  return port;
}

/** Returns an origin as a browser sends it; any other form would allow nobody. */
function parseOrigin(text: string): string {
  if (URL.canParse(text) && new URL(text).origin === text) return text;
  throw new UsageError(`--allow-origin takes an origin, as https://example.com, and ${text} is none`);
}

function parseVariable(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`--env must be NAME=VALUE, got ${text}`);
  return [text.slice(0, at), text.slice(at + 1)];
}
