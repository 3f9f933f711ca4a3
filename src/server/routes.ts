import type {
  Backend,
  BackendNetwork,
  BoxSpec,
  ExecSpec,
  FileOperation,
  LaunchOptions,
  Secrets,
} from "../backend/backend.js";
import { requireCapability } from "../backend/capabilities.js";
import { BoxRunError, unsupported } from "../backend/errors.js";
import { requireStatus } from "../backend/lists.js";
import { requirePort } from "../backend/ports.js";
import {
  createWithSecretsRequest,
  downloadRequest,
  execRequest,
  gcRequest,
  networkRequest,
  runRequest,
  signalRequest,
  startRequest,
} from "../contract/requests.js";
import { fileRequests, watchRequest } from "../contract/requests-files.js";
import type { RouteName, RouteParams } from "../contract/routes.js";
import { type BoxSpecInput, boxSpecSchema, type ExecSpecInput, execSpecSchema } from "../contract/schemas.js";
import { KEEP_ALIVE } from "../contract/sse-encode.js";
import {
  CLIENT_HEADER,
  MODE_HEADER,
  toWireBox,
  toWireExec,
  toWireImage,
  toWireInfo,
  toWirePorts,
  toWireRunResult,
  toWireUsage,
} from "../contract/wire.js";
import { toWireFile } from "../contract/wire-files.js";
import { toWireNetworkLog } from "../contract/wire-network.js";
import { toWireChange, toWireEnd } from "../contract/wire-watch.js";
import { requireRules } from "../network/rules.js";
import { parseSecrets } from "../network/secrets.js";
import { following } from "../util/abort.js";
import { VERSION } from "../util/version.js";
import { readBytes, readJson, requireType } from "./body.js";
import { eventStream } from "./event-stream.js";
import { eventResponse } from "./events.js";
import { errorBody, HttpError, json, jsonText } from "./http-error.js";
import { lateAnswer } from "./late-answer.js";
import { readUpload } from "./multipart.js";
import type { Settings } from "./options.js";
import type { Previews } from "./previews.js";
import { runOnce } from "./run.js";

/** A request with the parameters of its route. */
export interface Call {
  backend: Backend;
  request: Request;
  url: URL;
  params: RouteParams;
  settings: Settings;
  previews: Previews;
}

/** Shortest interval of the keep-alives that a client can ask for. */
const MIN_ALIVE_MS = 50;
/** Capability of a backend that no route has: a server fetches images by itself. */
const NOT_SERVED = "pull";
/** Largest JSON list of a directory, since clients take no larger one. */
const MAX_LIST_BYTES = 64 * 2 ** 20;

/** Handlers of all routes. They check bodies; the backend checks everything else. */
export const HANDLERS: Record<RouteName, (call: Call) => Promise<Response>> = {
  info: async ({ backend, settings }) => {
    const { maxCpu, maxMemoryMb } = await backend.info();
    const served = {
      ...backend.capabilities,
      [NOT_SERVED]: "",
      ...(!settings.allowVolumes && { volumes: "" }),
    };
    const supported = Object.entries(served).filter(([, has]) => has === true);
    const capabilities = [...supported.map(([name]) => name), "images", "extended"];
    const info = { maxCpu, maxMemoryMb, server: `boxrun-ts/${VERSION}`, capabilities };
    return json(
      200,
      settings.extensions ? toWireInfo(info) : { max_cpu: maxCpu, max_memory_mb: maxMemoryMb },
    );
  },

  images: async ({ backend }) => json(200, (await backend.images()).map(toWireImage)),

  createBox: async (call) => {
    const { backend, request, settings } = call;
    const asked = await readJson(request, createWithSecretsRequest, settings.maxBodyBytes);
    const box = await backend.createBox(boxSpec(asked.box, settings), launchOptions(call, asked));
    return json(201, toWireBox(box, extended(request)));
  },

  listBoxes: async ({ backend, request, url }) => {
    const status = url.searchParams.get("status") ?? "all";
    requireStatus(status);
    const boxes = await backend.listBoxes({ status });
    return json(
      200,
      boxes.map((box) => toWireBox(box, extended(request))),
    );
  },

  getBox: async ({ backend, request, params }) =>
    json(200, toWireBox(await backend.getBox(params.box!), extended(request))),

  removeBox: async (call) => {
    const id = await boxId(call);
    await call.backend.removeBox(id, { force: call.url.searchParams.get("force") === "true" });
    call.previews.closeAll(id);
    return json(200, { ok: true });
  },

  stopBox: async (call) => {
    const box = await call.backend.stopBox(await boxId(call));
    call.previews.closeAll(box.id);
    return json(200, toWireBox(box, extended(call.request)));
  },

  startBox: async (call) => {
    const asked = await readJson(call.request, startRequest, call.settings.maxBodyBytes);
    const box = await call.backend.startBox(await boxId(call), launchOptions(call, asked));
    return json(200, toWireBox(box, extended(call.request)));
  },

  usage: async (call) => json(200, toWireUsage(await call.backend.usage(await boxId(call)))),

  startExec: async (call) => {
    const spec = await readJson(call.request, execRequest, call.settings.maxBodyBytes);
    if (spec.stderr) requireCapability(call.backend.capabilities, "stderr");
    const exec = await call.backend.startExec(await boxId(call), execSpec(spec));
    return json(201, toWireExec(exec, extended(call.request)));
  },

  listExecs: async (call) => {
    const execs = await call.backend.listExecs(await boxId(call));
    return json(
      200,
      execs.map((exec) => toWireExec(exec, extended(call.request))),
    );
  },

  getExec: async (call) => {
    const exec = await call.backend.getExec(await boxId(call), call.params.exec!);
    return json(200, toWireExec(exec, extended(call.request)));
  },

  execEvents: async (call) => {
    const { backend, url, settings, params } = call;
    const id = await boxId(call);
    // Checked first: once the stream has begun, it can no longer answer that there is no such execution.
    const { id: execId } = await backend.getExec(id, params.exec!);
    const ask = (name: string) => (settings.extensions ? url.searchParams.get(name) : null);
    const after = Number(ask("after") ?? 0);
    if (!Number.isSafeInteger(after) || after < 0)
      throw new HttpError(400, "after must be an integer of at least 0");
    const encoding = { bytes: ask("bytes") === "1", after, keepAliveMs: settings.keepAliveMs };
    return eventResponse(backend, { boxId: id, execId }, encoding);
  },

  cancelExec: async (call) => {
    const exec = await call.backend.cancelExec(await boxId(call), call.params.exec!);
    return json(200, toWireExec(exec, extended(call.request)));
  },

  signalExec: async (call) => {
    const { signal } = await readJson(call.request, signalRequest, call.settings.maxBodyBytes);
    await call.backend.signalExec(await boxId(call), call.params.exec!, signal);
    return json(200, { ok: true });
  },

  writeStdin: async (call) => {
    const { backend, request, settings, params, url } = call;
    const bytes = await readBytes(request, settings.maxBodyBytes);
    if (bytes.byteLength > 0) requireType(request, "application/octet-stream");
    const id = await boxId(call);
    const write = async () => {
      if (bytes.byteLength > 0) await backend.writeStdin(id, params.exec!, bytes);
      if (url.searchParams.get("eof") === "1") await backend.closeStdin(id, params.exec!);
      return json(200, { ok: true });
    };
    const asked = url.searchParams.get("alive");
    if (asked === null) return write();
    const { keepAliveMs } = settings;
    return lateAnswer(write(), Math.min(keepAliveMs, Math.max(Number(asked) || keepAliveMs, MIN_ALIVE_MS)));
  },

  attach: async () => {
    throw new HttpError(426, "a terminal needs a WebSocket", { upgrade: "websocket" });
  },

  upload: async (call) => {
    const { dest, mode, newMode, body } = await readUpload(call.request, call.settings.maxUploadBytes);
    try {
      await call.backend.upload(await boxId(call), dest, body, {
        ...(mode !== undefined && { mode }),
        ...(newMode !== undefined && { newMode }),
        signal: call.request.signal,
      });
    } catch (error) {
      if (!body.locked) await body.cancel().catch(() => {});
      throw error;
    }
    return json(200, { ok: true, dest });
  },

  download: async (call) => {
    const { path } = await readJson(call.request, downloadRequest, call.settings.maxBodyBytes);
    const { size, mode, stream } = await call.backend.download(await boxId(call), path, {
      signal: call.request.signal,
    });
    const name = path.slice(path.lastIndexOf("/") + 1);
    return new Response(stream, {
      headers: {
        "content-type": "application/octet-stream",
        "content-disposition": attachment(name),
        "cache-control": "no-store",
        // A browser must never take a box's file for a page of this server.
        "x-content-type-options": "nosniff",
        ...(size !== null && { "content-length": String(size) }),
        ...(call.settings.extensions && mode !== undefined && { [MODE_HEADER]: mode.toString(8) }),
      },
    });
  },

  watchFiles: async (call) => {
    const { backend, request, settings } = call;
    const { path, recursive } = await readJson(request, watchRequest, settings.maxBodyBytes);
    requireCapability(backend.capabilities, "watch");
    const { life: left, end } = following(request.signal);
    try {
      const changes = await backend.watchFiles!(await boxId(call), path, { recursive, signal: left.signal });
      return eventStream(changes, {
        encode: toWireChange,
        keepAliveMs: settings.keepAliveMs,
        left,
        first: KEEP_ALIVE,
        end: (error) => toWireEnd(error === undefined ? null : errorBody(error, settings)),
      });
    } catch (error) {
      end();
      throw error;
    }
  },

  listPorts: async (call) => {
    requireCapability(call.backend.capabilities, "ports");
    const { signal } = call.request;
    return json(200, toWirePorts((await call.backend.ports?.list(await boxId(call), { signal })) ?? []));
  },

  connectPort: async () => {
    throw new HttpError(426, "a connection needs a WebSocket", { upgrade: "websocket" });
  },

  openPreview: async (call) =>
    json(201, await call.previews.open(await boxId(call), portOf(call.params.port), call.request)),

  closePreview: async (call) => {
    call.previews.close(await boxId(call), portOf(call.params.port), call.params.preview!);
    return json(200, { ok: true });
  },

  updateNetwork: async (call) => {
    const { network } = await readJson(call.request, networkRequest, call.settings.maxBodyBytes);
    requireRules(network);
    const box = await networkOf(call.backend).update(await boxId(call), network, {
      signal: call.request.signal,
    });
    return json(200, toWireBox(box, extended(call.request)));
  },

  networkLog: async (call) => {
    const { signal } = call.request;
    return json(200, toWireNetworkLog(await networkOf(call.backend).log(await boxId(call), { signal })));
  },

  statFile: (call) => operate(call, "stat"),
  listFiles: (call) => operate(call, "list"),
  makeDirectory: (call) => operate(call, "mkdir"),
  renameFile: (call) => operate(call, "rename"),
  removeFile: (call) => operate(call, "remove"),

  run: async (call) => {
    const { box, exec, ...asked } = await readJson(call.request, runRequest, call.settings.maxBodyBytes);
    const launch = launchOptions(call, asked);
    const result = await runOnce(call.backend, boxSpec(box, call.settings), execSpec(exec), launch);
    return json(200, toWireRunResult(result));
  },

  gc: async ({ backend, request, settings }) => {
    const options = await readJson(request, gcRequest, settings.maxBodyBytes);
    return json(200, { removed: await backend.gc(options) });
  },
};

function networkOf({ capabilities, network }: Backend): BackendNetwork {
  requireCapability(capabilities, "network");
  if (network) return network;
  throw unsupported("network: this server has neither rules nor logs of what its boxes connect to");
}

/** Performs a file operation. Answers with what it found, if it looks for something. */
async function operate(call: Call, op: FileOperation["op"]): Promise<Response> {
  const { backend, request, settings } = call;
  const operation = await readJson<(typeof fileRequests)[typeof op]>(
    request,
    fileRequests[op],
    settings.maxBodyBytes,
  );
  requireCapability(backend.capabilities, "files");
  const files = await backend.fileOperation(await boxId(call), operation, { signal: request.signal });
  switch (op) {
    case "stat":
      return json(200, toWireFile(files[0]!));
    case "list": {
      const text = new TextEncoder().encode(JSON.stringify(files.map(toWireFile)));
      if (text.byteLength > MAX_LIST_BYTES)
        throw new BoxRunError("RUNTIME_ERROR", "list: the directory has too many entries");
      return jsonText(200, text);
    }
    case "mkdir":
    case "rename":
    case "remove":
      return json(200, { ok: true });
  }
}

/** Fills in the defaults. The request has been checked, except for what the rules of a network mean. */
const boxSpec = (input: BoxSpecInput, { allowVolumes }: Settings): BoxSpec => {
  const spec = boxSpecSchema.parse(input);
  if (spec.volumes?.length && !allowVolumes)
    throw unsupported(
      "volumes: this server lets no box mount a directory; start boxrun serve with --allow-volumes DIR",
    );
  requireRules(spec.network);
  return spec;
};
/** Returns the options of a creation or a start. It ends when its client goes. */
const launchOptions = (
  { backend, request }: Pick<Call, "backend" | "request">,
  asked: { secrets: Secrets | null },
): LaunchOptions & { signal: AbortSignal } => {
  const { signal } = request;
  const secrets = parseSecrets(asked.secrets ?? {});
  if (!secrets) return { signal };
  requireCapability(backend.capabilities, "secrets");
  return { signal, secrets };
};
const execSpec = (input: ExecSpecInput): ExecSpec => execSpecSchema.parse(input);

const extended = (request: Request) => ({ extended: request.headers.has(CLIENT_HEADER) });

/** Reads the port in a path. @throws {BoxRunError} VALIDATION_ERROR */
function portOf(text = ""): number {
  const port = /^\d+$/.test(text) ? Number(text) : text;
  requirePort(port as number);
  return port as number;
}

/** Resolves a box parameter to an id. Backends take a name only in `getBox`. */
export async function boxId({ backend, params }: Pick<Call, "backend" | "params">): Promise<string> {
  const given = params.box!;
  return /^box_[0-9A-Za-z]{12}$/.test(given) ? given : (await backend.getBox(given)).id;
}

/** Writes a file name for a header, which may have neither quotes nor non-ASCII characters. Clients that need the exact name read the second form. */
function attachment(name: string): string {
  const plain = name.replace(/[^ -~]|["\\%]/g, "_");
  // Half a surrogate pair cannot be encoded; the round trip through UTF-8 makes it a replacement character.
  const whole = new TextDecoder().decode(new TextEncoder().encode(name));
  const exact = encodeURIComponent(whole).replace(/['()*]/g, escapeByte);
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
}

const escapeByte = (char: string) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
