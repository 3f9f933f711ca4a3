import { setImmediate } from "node:timers/promises";
import type { Backend, ExecInfo } from "../../src/backend/backend.js";
import { BoxRunError, isBoxRunError } from "../../src/backend/errors.js";
import { createRequest, execRequest } from "../../src/contract/requests.js";
import { matchRoute, ROUTES, type RouteName, type RouteParams } from "../../src/contract/routes.js";
import { execSpecSchema } from "../../src/contract/schemas.js";
import { toWireExec } from "../../src/contract/wire.js";
import { createHandler } from "../../src/server/handler.js";
import { errorResponse, json } from "../../src/server/http-error.js";
import { newId } from "../../src/util/ids.js";
import { PublishedExecution } from "./execution.js";

/** How a published server behaves that is emulated. */
export interface PublishedOptions {
  /** The number of an execution's first event. Default 0: as the server behaves; 1 is as it is documented. */
  firstSeq?: 0 | 1;
  /** What the command exits with that is out of time: by version, SIGALRM, SIGTERM or SIGKILL. Default -14. */
  timeLimitCode?: -14 | -15 | -9;
  /** Default 15000. */
  keepAliveMs?: number;
  /** False: a canceled command goes on. Default true. */
  cancelKills?: boolean;
  /** Decides how its tasks overtake each other. Default 1. */
  seed?: number;
}

/** The largest body, in bytes. */
const MAX_BODY_BYTES = 2 * 2 ** 20;
/** Errors that the server tells by their own codes when it makes a box. */
const CREATE_CODES = ["NAME_ALREADY_EXISTS", "RESOURCE_EXCEEDED"];

type Handle = (request: Request, params: RouteParams) => Promise<Response>;

/**
 * The published BoxRun server as it behaves, as a function that answers requests: with the numbers of its events, its races, its cancel, its exit codes, its order, its limit and its errors, which
 * are all not those of `createHandler`. What it runs runs on a backend, which stays the caller's. It has no terminals: these are WebSockets.
 */
export function publishedServer(
  backend: Backend,
  options: PublishedOptions = {},
): (request: Request) => Promise<Response> {
  const inner = createHandler(backend, { extensions: false, allowVolumes: true });
  const execs = new Map<string, PublishedExecution | { row: ExecInfo }>();
  /** Of boxes, what the server takes and these cannot have. */
  const extras = new Map<string, object>();

  const dress = (box: { id: string }) => ({ ...box, ...extras.get(box.id) });
  const wire = (row: ExecInfo) => toWireExec(row, { extended: false });
  const find = (id: string | undefined) => {
    const found = execs.get(id ?? "");
    if (!found) throw new BoxRunError("EXEC_NOT_FOUND", `Exec '${id}' not found`);
    return found;
  };
  /** One whose start failed stays as it was begun. */
  const isLive = (found: object): found is PublishedExecution => found instanceof PublishedExecution;

  const handlers: Partial<Record<RouteName, Handle>> = {
    createBox: async (request) => {
      const body = (await request.clone().json()) as { network?: boolean };
      const answer = await inner(new Request(request, { body: JSON.stringify({ ...body, network: false }) }));
      const told = (await answer.json()) as { id: string; code: string; message: string };
      if (answer.status === 400 && !CREATE_CODES.includes(told.code)) {
        throw new BoxRunError("RUNTIME_ERROR", `Failed to create BoxLite VM: ${told.message}`);
      }
      if (!answer.ok) return json(answer.status, told);
      extras.set(told.id, { network: createRequest.parse(body).network ?? false });
      return json(201, dress(told));
    },

    getBox: async (request) => dressed(await inner(request)),
    startBox: async (request) => dressed(await inner(request)),
    stopBox: async (request) => dressed(await inner(request)),

    listBoxes: async (request) => {
      const url = new URL(request.url);
      const status = url.searchParams.get("status") ?? "all";
      const all = (await (await inner(new URL("/v1/boxes", url))).json()) as {
        id: string;
        status: string;
        created_at: string;
      }[];
      const asked = all.filter((box) => status === "all" || box.status === status);
      return json(200, asked.sort((a, b) => (a.created_at < b.created_at ? 1 : -1)).map(dress));
    },

    removeBox: async (request, params) => {
      const { id } = await backend.getBox(params.box ?? "");
      const answer = await inner(request);
      if (answer.ok) for (const [execId, { row }] of execs) if (row.boxId === id) execs.delete(execId);
      return answer;
    },

    startExec: async (request, params) => {
      const parsed = execRequest.safeParse(await request.json());
      if (!parsed.success) return json(422, { code: "VALIDATION_ERROR", message: parsed.error.message });
      const spec = execSpecSchema.parse({ ...parsed.data, stdin: false });
      const { id: boxId } = await backend.getBox(params.box ?? "");
      const { cmd, env, workdir, timeoutMs } = spec;
      const row: ExecInfo = {
        id: newId("exec"),
        boxId,
        status: "running",
        cmd,
        env,
        workdir,
        timeoutMs,
        exitCode: null,
        errorMessage: null,
        createdAt: new Date(),
        finishedAt: null,
      };
      try {
        row.id = (await backend.startExec(boxId, spec)).id;
        const refusal = await refusalOf(backend, row);
        if (refusal !== undefined) throw new BoxRunError("VALIDATION_ERROR", refusal);
      } catch (error) {
        if (!isBoxRunError(error)) throw error;
        if (error.code === "VALIDATION_ERROR") {
          execs.set(row.id, { row });
          throw new BoxRunError("RUNTIME_ERROR", `Failed to start execution: ${error.message}`);
        }
        // A command that ends its machine may do so before the backend knows that it has started: it goes on as one whose box has vanished.
        if (error.code !== "RUNTIME_ERROR") throw error;
      }
      execs.set(row.id, new PublishedExecution(backend, row, options));
      return json(201, wire({ ...row, status: "running", exitCode: null, finishedAt: null }));
    },

    // What is there is removed, and a new file put in its place: of root, with the bits of any new one, and no link.
    upload: async (request, params) => {
      const form = await request.formData();
      const [dest, file] = [form.get("dest"), form.get("file")];
      if (typeof dest !== "string" || !(file instanceof Blob))
        throw new BoxRunError("VALIDATION_ERROR", "Missing field");
      const { id } = await backend.getBox(params.box ?? "");
      await removeFile(backend, id, dest);
      await backend.upload(id, dest, file.stream(), { mode: 0o644 });
      return json(200, { ok: true, dest });
    },

    listExecs: async (_, params) => {
      const { id } = await backend.getBox(params.box ?? "");
      const rows = [...execs.values()].map(({ row }) => row).filter(({ boxId }) => boxId === id);
      return json(200, rows.sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime()).map(wire));
    },

    // The box in the path is not looked at.
    getExec: async (_, params) => json(200, wire(find(params.exec).row)),

    execEvents: async (_, params) => {
      const found = find(params.exec);
      const body = isLive(found) ? found.stream() : new ReadableStream<Uint8Array>();
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },

    cancelExec: async (_, params) => {
      const found = find(params.exec);
      if (found.row.status !== "running")
        throw new BoxRunError("EXEC_ALREADY_FINISHED", "Exec already finished");
      if (isLive(found)) await found.cancel();
      else Object.assign(found.row, { status: "canceled", finishedAt: new Date() });
      return json(200, wire(found.row));
    },
  };

  const dressed = async (answer: Response) => {
    const told = (await answer.json()) as { id: string };
    return json(answer.status, answer.ok ? dress(told) : told);
  };

  return async (request) => {
    const match = matchRoute(request.method, new URL(request.url).pathname);
    if (match.type === "none" || (match.type === "route" && "extension" in ROUTES[match.name]))
      return new Response(null, { status: 404 });
    const body = request.body ? await request.arrayBuffer() : undefined;
    if (body && body.byteLength > MAX_BODY_BYTES)
      return new Response("length limit exceeded", { status: 413 });
    const { url, method, headers, signal } = request;
    const whole = new Request(url, { method, headers, signal, ...(body && { body }) });
    const handle = match.type === "route" ? handlers[match.name] : undefined;
    if (match.type !== "route" || !handle) return inner(whole);
    return handle(whole, match.params).catch((error) => errorResponse(error, { extensions: false }));
  };
}

/** Why a command could not be started, of which the backends make a command that has ended. */
async function refusalOf(backend: Backend, { boxId, id, cmd }: ExecInfo): Promise<string | undefined> {
  await setImmediate();
  const info = await backend.getExec(boxId, id).catch(() => undefined);
  if (!info) return undefined;
  const { status, exitCode } = info;
  if (status !== "failed" || (exitCode !== 126 && exitCode !== 127)) return undefined;
  for await (const event of backend.execEvents(boxId, id, { after: 0 })) {
    if (event.type === "exit") break;
    // It ran, and said so itself.
    if (event.stream !== "stderr") return undefined;
    return new TextDecoder().decode(event.bytes).trim().replace(`${cmd[0]}: `, "");
  }
  return "";
}

/** Removes what a path itself names, if that is no directory. */
async function removeFile(backend: Backend, boxId: string, path: string): Promise<void> {
  const spec = { cmd: ["rm", "-f", path], env: null, workdir: "/", timeoutMs: null, stdin: false };
  const { id } = await backend.startExec(boxId, spec);
  await backend.waitExec(boxId, id, {});
}
