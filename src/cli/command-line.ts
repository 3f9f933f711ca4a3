import { parseArgs } from "node:util";
import type { HostVolume, NetworkOptions } from "../index.js";
import {
  MAX_PORT,
  type PublishedPort,
  parseInteger,
  parseNetworkRules,
  parseOrigin,
  parsePreviewUrl,
  parsePublished,
  parseRelayUrl,
  parseSecret,
  parseServer,
  parseVariable,
  parseVolume,
  resolveDirectory,
  type SecretOption,
  UsageError,
} from "./option-values.js";

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
  box: {
    memoryMb?: number;
    diskSizeGb?: number;
    workdir?: string;
    network?: true | NetworkOptions;
    volumes?: HostVolume[];
    env: Record<string, string>;
  };
  /** Secrets of the box, each with a name of its own. */
  secrets: SecretOption[];
  timeoutMs?: number;
  /** Ports of this machine that lead to ports of the box. */
  publish: PublishedPort[];
}

/** Parsed arguments of `boxrun forward`. */
export interface ForwardCommand extends ServerOptions {
  name: "forward";
  /** Id or name of the box. */
  box: string;
  ports: PublishedPort[];
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
  previewDomain?: string;
  /** Bounds of the networks of boxes; undefined: boxes have none. */
  network?: NetworkOptions;
  /** Rules and token of the relay; undefined: there is none. */
  relay?: NetworkOptions & { token?: string };
  /** Directories that volumes of boxes may be in; undefined: boxes have none. */
  volumes?: { within: string[] };
}

/** Parsed arguments of `boxrun assets` and `boxrun site`. */
export interface FolderCommand {
  name: "assets" | "site";
  folder: string;
  images: string[];
  /** Sizes of boxes, in MiB, whose boot images are copied; undefined: all. */
  memoryMb?: number[];
  /** Settings of the page that `boxrun site` writes. */
  settings?: SiteSettings;
}

/** Addresses that the page of `boxrun site` uses, as options of the client are named. */
export interface SiteSettings {
  previewUrl?: string;
  relay?: string;
}

/** Parsed arguments of `boxrun ls`. */
export interface ListCommand extends ServerOptions {
  name: "ls";
  /** Directory that keeps the boxes; undefined: those of the server that is named or found, else of the default directory. */
  state?: string;
  json: boolean;
}

/** Parsed arguments of `boxrun preview`. */
export interface PreviewCommand {
  name: "preview";
  folder: string;
  /** Origins of the pages that may show previews there; undefined: those of this machine. */
  allowOrigins?: string[];
}

/** A parsed command line. */
export type CliCommand =
  | RunCommand
  | ForwardCommand
  | ServeCommand
  | FolderCommand
  | PreviewCommand
  | { name: "pull"; image: string }
  | ({ name: "images" } & ServerOptions)
  | ListCommand
  | { name: "help"; of?: string }
  | { name: "version" };

/** All options, whichever command takes them: they may stand before its name. */
const OPTIONS = {
  memory: { type: "string", multiple: true },
  disk: { type: "string" },
  env: { type: "string", short: "e", multiple: true },
  workdir: { type: "string", short: "w" },
  timeout: { type: "string" },
  publish: { type: "string", short: "p", multiple: true },
  host: { type: "string" },
  port: { type: "string" },
  socket: { type: "string" },
  server: { type: "string" },
  token: { type: "string" },
  state: { type: "string" },
  image: { type: "string", multiple: true },
  volume: { type: "string", short: "v", multiple: true },
  network: { type: "boolean" },
  "preview-url": { type: "string" },
  "relay-url": { type: "string" },
  "allow-volumes": { type: "string", multiple: true },
  "allow-network": { type: "boolean" },
  allow: { type: "string", multiple: true },
  deny: { type: "string", multiple: true },
  secret: { type: "string", multiple: true },
  "allow-origin": { type: "string", multiple: true },
  "preview-domain": { type: "string" },
  json: { type: "boolean" },
  relay: { type: "boolean" },
  "relay-token": { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean" },
} as const;

type Values = ReturnType<typeof parseOptions>["values"];

/** Arguments of a command, without its name. */
interface Arguments {
  values: Values;
  /** Arguments before "--" that are not options. */
  operands: string[];
  /** Arguments after "--"; undefined when there is none. */
  rest: string[] | undefined;
}

/** The commands: the options that each takes, and its parser. */
const COMMANDS: Record<string, { takes: (keyof Values)[]; parse: (args: Arguments) => CliCommand }> = {
  run: {
    takes: [
      ...["memory", "disk", "env", "workdir", "timeout", "publish", "server", "token"],
      ...["volume", "network", "allow", "deny", "secret"],
    ] as (keyof Values)[],
    parse: parseRun,
  },
  forward: { takes: ["server", "token"], parse: parseForward },
  ls: { takes: ["json", "state", "server", "token"], parse: parseList },
  serve: {
    takes: [
      ...["host", "port", "socket", "token", "state", "allow-origin", "preview-domain"],
      ...["allow-volumes", "allow-network", "allow", "deny", "relay", "relay-token"],
    ] as (keyof Values)[],
    parse: parseServe,
  },
  assets: { takes: ["image", "memory"], parse: (args) => parseFolder("assets", "public/boxrun", args) },
  site: { takes: ["image", "preview-url", "relay-url"], parse: parseSite },
  preview: { takes: ["allow-origin"], parse: parsePreview },
  pull: { takes: [], parse: parsePull },
  images: { takes: ["server", "token"], parse: parseImages },
};

/** Parses the arguments after the name of the program. @throws {UsageError} when they make no sense */
export function parseCommandLine(args: string[]): CliCommand {
  const separator = args.indexOf("--");
  const rest = separator < 0 ? undefined : args.slice(separator + 1);
  const { values, positionals } = parseOptions(rest ? args.slice(0, separator) : args, rest !== undefined);
  const [name, ...operands] = positionals;
  if (values.help || name === "help") return helpOf(name === "help" ? operands[0] : name);
  if (values.version) return { name: "version" };
  if (name === undefined)
    throw new UsageError(
      "expected a command: run, forward, ls, serve, assets, site, preview, pull or images",
    );
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new UsageError(`there is no command ${name}`);
  for (const [option, value] of Object.entries(values)) {
    if (!command.takes.includes(option as keyof Values))
      throw new UsageError(`${name} does not take --${option}`);
    // Usually a variable of the shell that is not set.
    if (value === "" || (Array.isArray(value) && value.includes("")))
      throw new UsageError(`--${option} must not be empty`);
  }
  return command.parse({ values, operands, rest });
}

/** Returns the command that prints the help of one command, or of all when there is no such command. */
function helpOf(name: string | undefined): CliCommand {
  return name !== undefined && Object.hasOwn(COMMANDS, name) ? { name: "help", of: name } : { name: "help" };
}

function parseOptions(args: string[], separated: boolean) {
  try {
    return parseArgs({ args, allowPositionals: true, options: OPTIONS });
  } catch (error) {
    // An unknown option may belong to the command: "boxrun run tiny ls -l".
    if (args[0] === "run" && !separated)
      throw new UsageError("put -- before the command: boxrun run [OPTIONS] IMAGE -- COMMAND");
    // The text after the first sentence is advice for programs that do not use "--" themselves.
    throw new UsageError((error as Error).message.split(/\.\s/)[0]);
  }
}

function parseRun({ values, operands, rest = [] }: Arguments): RunCommand {
  const [image, ...beyond] = operands;
  if (image === undefined) throw new UsageError("run needs an image");
  if (beyond.length > 0)
    throw new UsageError(`put -- before the command: boxrun run ${image} -- ${beyond.join(" ")}`);
  if (rest.length === 0) throw new UsageError(`run needs a command: boxrun run ${image} -- COMMAND`);
  const { memory, disk, workdir, timeout, env = [], publish = [], volume } = values;
  return {
    name: "run",
    image,
    cmd: rest,
    publish: publish.map((text) => parsePublished("--publish", text)),
    secrets: secretsOf(values),
    ...serverOptions(values),
    box: {
      env: Object.fromEntries(env.map(parseVariable)),
      ...(memory !== undefined && { memoryMb: parseInteger("--memory", memory.at(-1)!) }),
      ...(disk !== undefined && { diskSizeGb: parseInteger("--disk", disk) }),
      ...(workdir !== undefined && { workdir }),
      ...(volume && { volumes: volume.map(parseVolume) }),
      ...networkOf(values),
    },
    ...(timeout !== undefined && { timeoutMs: parseInteger("--timeout", timeout) }),
  };
}

/** Returns the network of a box. A rule is of no use to a box without one, and so it implies one. */
function networkOf(values: Values): { network?: true | NetworkOptions } {
  const network = rulesOf(values) ?? values.network;
  return network ? { network } : {};
}

function secretsOf(values: Values): SecretOption[] {
  const secrets = (values.secret ?? []).map(parseSecret);
  const twice = secrets.find(({ name }, at) => secrets.findIndex((one) => one.name === name) < at);
  if (twice)
    throw new UsageError(`--secret ${twice.name} is given twice: name its hosts in one, separated by commas`);
  if (secrets.length > 0 && !networkOf(values).network)
    throw new UsageError("--secret needs --network or --allow: a secret opens no host");
  return secrets;
}

/** Returns the rules of a network; undefined for none. */
function rulesOf({ allow, deny }: Values): NetworkOptions | undefined {
  if (!allow && !deny) return undefined;
  return parseNetworkRules({ ...(allow && { allow }), ...(deny && { deny }) });
}

function parseForward({ values, operands, rest = [] }: Arguments): ForwardCommand {
  const [box, ...ports] = [...operands, ...rest];
  if (box === undefined || ports.length === 0)
    throw new UsageError("forward needs a box and a port: boxrun forward BOX [HOST_PORT:]PORT");
  return {
    name: "forward",
    box,
    ports: ports.map((text) => parsePublished("PORT", text)),
    ...serverOptions(values),
  };
}

function parseList(args: Arguments): ListCommand {
  refuseOperands("ls", args);
  const { state, json = false } = args.values;
  if (state !== undefined && args.values.server !== undefined)
    throw new UsageError("--state names boxes of this machine, and --server those of a server: give one");
  return { name: "ls", json, ...(state !== undefined && { state }), ...serverOptions(args.values) };
}

function parseServe(args: Arguments): ServeCommand {
  refuseOperands("serve", args);
  const { host, port, socket, token, state, "allow-origin": origins } = args.values;
  const { "preview-domain": previewDomain, "allow-volumes": directories } = args.values;
  const rules = rulesOf(args.values);
  const { "relay-token": relayToken, relay: hasRelay = relayToken !== undefined } = args.values;
  if (rules && !args.values["allow-network"] && !hasRelay)
    throw new UsageError("--allow and --deny need the network that they bound: --allow-network, or --relay");
  return {
    name: "serve",
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port: parseInteger("--port", port, MAX_PORT) }),
    ...(socket !== undefined && { socketPath: socket }),
    ...(token !== undefined && { token }),
    ...(state !== undefined && { state }),
    ...(origins && { allowOrigins: origins.map(parseOrigin) }),
    ...(previewDomain !== undefined && { previewDomain }),
    ...(args.values["allow-network"] && { network: rules ?? {} }),
    ...(hasRelay && { relay: { ...rules, ...(relayToken !== undefined && { token: relayToken }) } }),
    ...(directories && { volumes: { within: directories.map(resolveDirectory) } }),
  };
}

function parseFolder(
  name: FolderCommand["name"],
  example: string,
  { values, operands, rest = [] }: Arguments,
): FolderCommand {
  const [folder, ...beyond] = [...operands, ...rest];
  if (!folder) throw new UsageError(`${name} needs a folder: boxrun ${name} ${example}`);
  if (beyond.length > 0)
    throw new UsageError(
      `${name} takes one folder, got also ${beyond.join(" ")}; images are named by --image`,
    );
  const memoryMb = values.memory?.map((size) => parseInteger("--memory", size));
  return { name, folder, images: values.image ?? ["tiny"], ...(memoryMb && { memoryMb }) };
}

function parseSite(args: Arguments): FolderCommand {
  const { "preview-url": previewUrl, "relay-url": relay } = args.values;
  const settings: SiteSettings = {
    ...(previewUrl !== undefined && { previewUrl: parsePreviewUrl(previewUrl) }),
    ...(relay !== undefined && { relay: parseRelayUrl(relay) }),
  };
  return { ...parseFolder("site", "./class", args), settings };
}

function parsePreview({ values, operands, rest = [] }: Arguments): PreviewCommand {
  const [folder, ...beyond] = [...operands, ...rest];
  if (!folder || beyond.length > 0)
    throw new UsageError("preview needs one folder: boxrun preview ./preview");
  const origins = values["allow-origin"];
  return { name: "preview", folder, ...(origins && { allowOrigins: origins.map(parseOrigin) }) };
}

function parsePull({ operands, rest = [] }: Arguments): CliCommand {
  const images = [...operands, ...rest];
  if (images[0] === undefined) throw new UsageError("pull needs an image");
  if (images.length > 1) throw new UsageError(`pull takes one image, got ${images.join(" ")}`);
  return { name: "pull", image: images[0] };
}

function parseImages(args: Arguments): CliCommand {
  refuseOperands("images", args);
  return { name: "images", ...serverOptions(args.values) };
}

function serverOptions({ server, token }: Values): ServerOptions {
  return {
    ...(server !== undefined && { server: parseServer(server) }),
    ...(token !== undefined && { token }),
  };
}

function refuseOperands(name: string, { operands, rest = [] }: Arguments): void {
  const [first] = [...operands, ...rest];
  if (first !== undefined) throw new UsageError(`${name} takes no arguments, got ${first}`);
}
