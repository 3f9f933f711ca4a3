/**
 * The bodies of the BoxRun API. Only this file and requests.ts know the names on the wire. Each noun has a schema, by which the client reads it, and a function
 * by which the server writes it; requests have a function that writes them. Unknown fields are ignored, since other versions have others.
 */
import * as z from "zod/mini";
import { type BoxSpecInput, type ExecSpecInput, optional } from "./schemas.js";
import type {
  BoxInfo,
  BoxStatus,
  BoxUsage,
  ExecInfo,
  ExecStatus,
  ImageInfo,
  LocalBoxInfo,
  NetworkOptions,
  PortInfo,
} from "./types.js";
import { toWireVolume, wireVolume } from "./wire-volume.js";

/** Request header of a client that understands the fields which this project adds to the published API. */
export const CLIENT_HEADER = "boxrun-client";
/** Response header with the permission bits of a downloaded file, in octal digits. Only servers of this project send it. */
export const MODE_HEADER = "boxrun-mode";
/** Limits of Linux. */
const MAX_SIGNAL = 64;
const MAX_EXIT_CODE = 255;

/** Schema of a time. */
export const time = z.pipe(
  z.string().check(z.refine((value) => !Number.isNaN(Date.parse(value)), "must be a time (RFC 3339)")),
  z.transform((value) => new Date(value)),
);
/** Schema of an exit code: up to 255, or a signal as a negative number, as servers of the published API report it. */
export const exitCode = z
  .number()
  .check(
    z.refine(
      (code) => Number.isInteger(code) && code >= -MAX_SIGNAL && code <= MAX_EXIT_CODE,
      `must be an exit code from -${MAX_SIGNAL} to ${MAX_EXIT_CODE}`,
    ),
  );
const environment = z.record(z.string(), z.string());

const wireRules = optional(z.array(z.string()));
const wireNetwork = z.union([
  z.boolean(),
  z.pipe(
    z.object({ allow: wireRules, deny: wireRules, lan: optional(z.string()) }),
    z.transform(
      ({ allow, deny, lan }): NetworkOptions => ({
        ...(allow && { allow }),
        ...(deny && { deny }),
        ...(lan !== null && { lan }),
      }),
    ),
  ),
]);
const localInfo = z.pipe(
  z.object({
    image: z.string(),
    cpus: z.number(),
    memory_mb: z.exactOptional(z.number()),
    persistent: z.boolean(),
    boot: z.pipe(
      z.nullable(z.string()),
      z.transform((boot) => boot as LocalBoxInfo["boot"]),
    ),
    secrets: z.exactOptional(z.array(z.string())),
    secret_hosts: z.exactOptional(z.record(z.string(), z.array(z.string()))),
    warnings: z.array(z.string()),
  }),
  z.transform(
    ({ memory_mb, secret_hosts, ...local }): LocalBoxInfo => ({
      ...local,
      ...(memory_mb !== undefined && { memoryMb: memory_mb }),
      ...(secret_hosts && { secretHosts: secret_hosts }),
    }),
  ),
);

/** Schema of a box. Reads it as {@link BoxInfo}. */
export const wireBox = z.pipe(
  z.object({
    id: z.string(),
    name: optional(z.string()),
    status: z.string(),
    image: z.string(),
    cpu: z.number(),
    memory_mb: z.number(),
    disk_size_gb: z.number(),
    network: wireNetwork,
    workdir: z.string(),
    env: optional(environment),
    volumes: optional(z.array(wireVolume)),
    error_code: optional(z.string()),
    error_message: optional(z.string()),
    created_at: time,
    started_at: optional(time),
    stopped_at: optional(time),
    local: z.optional(localInfo),
  }),
  z.transform(
    (box): BoxInfo => ({
      id: box.id,
      name: box.name,
      status: box.status as BoxStatus,
      image: box.image,
      cpu: box.cpu,
      memoryMb: box.memory_mb,
      diskSizeGb: box.disk_size_gb,
      network: box.network,
      workdir: box.workdir,
      env: box.env,
      volumes: box.volumes,
      errorCode: box.error_code,
      errorMessage: box.error_message,
      createdAt: box.created_at,
      startedAt: box.started_at,
      stoppedAt: box.stopped_at,
      ...(box.local && { local: box.local }),
    }),
  ),
);
/** Schema of a list of boxes. */
export const wireBoxes = z.array(wireBox);

/**
 * Writes a box: all 17 keys, null where empty. `extended` adds `local` and the rules of the network, for clients that send {@link CLIENT_HEADER}; in the published
 * API a box has a network or not.
 */
export function toWireBox(box: BoxInfo, { extended }: { extended: boolean }): object {
  return {
    id: box.id,
    name: box.name,
    status: box.status,
    image: box.image,
    cpu: box.cpu,
    memory_mb: box.memoryMb,
    disk_size_gb: box.diskSizeGb,
    network: extended ? box.network : box.network !== false,
    workdir: box.workdir,
    env: box.env,
    volumes: box.volumes?.map(toWireVolume) ?? null,
    boxlite_id: null,
    error_code: box.errorCode,
    error_message: box.errorMessage,
    created_at: box.createdAt.toISOString(),
    started_at: box.startedAt?.toISOString() ?? null,
    stopped_at: box.stoppedAt?.toISOString() ?? null,
    ...(extended && box.local && { local: toWireLocal(box.local) }),
  };
}

function toWireLocal({ memoryMb, secretHosts, ...local }: LocalBoxInfo): object {
  return {
    ...local,
    ...(memoryMb !== undefined && { memory_mb: memoryMb }),
    ...(secretHosts && { secret_hosts: secretHosts }),
  };
}

/** Schema of an execution. Reads it as {@link ExecInfo}. */
export const wireExec = z.pipe(
  z.object({
    id: z.string(),
    box_id: z.string(),
    status: z.string(),
    cmd: z.array(z.string()),
    env: optional(environment),
    workdir: optional(z.string()),
    timeout_ms: optional(z.number()),
    exit_code: optional(exitCode),
    error_message: optional(z.string()),
    created_at: time,
    finished_at: optional(time),
    truncated: z.optional(z.boolean()),
  }),
  z.transform(
    (exec): ExecInfo => ({
      id: exec.id,
      boxId: exec.box_id,
      status: exec.status as ExecStatus,
      cmd: exec.cmd,
      env: exec.env,
      workdir: exec.workdir,
      timeoutMs: exec.timeout_ms,
      exitCode: exec.exit_code,
      errorMessage: exec.error_message,
      createdAt: exec.created_at,
      finishedAt: exec.finished_at,
      ...(exec.truncated !== undefined && { truncated: exec.truncated }),
    }),
  ),
);
/** Schema of a list of executions. */
export const wireExecs = z.array(wireExec);

/** Writes an execution. `extended` adds `truncated`, for clients that send {@link CLIENT_HEADER}. */
export function toWireExec(exec: ExecInfo, { extended }: { extended: boolean }): object {
  return {
    id: exec.id,
    box_id: exec.boxId,
    status: exec.status,
    cmd: exec.cmd,
    env: exec.env,
    workdir: exec.workdir,
    timeout_ms: exec.timeoutMs,
    exit_code: exec.exitCode,
    error_message: exec.errorMessage,
    created_at: exec.createdAt.toISOString(),
    finished_at: exec.finishedAt?.toISOString() ?? null,
    ...(extended && exec.truncated !== undefined && { truncated: exec.truncated }),
  };
}

/** Schema of the answer to `GET /v1/info`. A server that answers otherwise is not a BoxRun server. */
export const wireInfo = z.pipe(
  z.object({
    max_cpu: z.number(),
    max_memory_mb: z.number(),
    server: z.optional(z.string()),
    capabilities: z.optional(z.array(z.string())),
  }),
  z.transform(({ max_cpu, max_memory_mb, server, capabilities }) => ({
    maxCpu: max_cpu,
    maxMemoryMb: max_memory_mb,
    /** Name and version of the server's program: "boxrun-ts/<version>"; null where it tells none. */
    server: server ?? null,
    capabilities: capabilities ?? [],
  })),
);

/** Writes the answer to `GET /v1/info`. */
export function toWireInfo(info: {
  maxCpu: number;
  maxMemoryMb: number;
  server: string;
  capabilities: string[];
}): object {
  const { maxCpu, maxMemoryMb, server, capabilities } = info;
  return { max_cpu: maxCpu, max_memory_mb: maxMemoryMb, server, capabilities };
}

/** Schema of the answer to `GET .../ports`. */
export const wirePorts = z.pipe(
  z.object({ ports: z.array(z.object({ port: z.number(), addresses: z.array(z.string()) })) }),
  z.transform(({ ports }): PortInfo[] => ports),
);

/** Writes the answer to `GET .../ports`. */
export function toWirePorts(ports: readonly PortInfo[]): object {
  return { ports: ports.map(({ port, addresses }) => ({ port, addresses })) };
}

/** Schema of the answer to `POST .../preview`. */
export const wirePreview = z.object({ id: z.string(), url: z.string() });

/** Schema of the answer to `POST /v1/run`. */
export const wireRunResult = z.pipe(
  z.object({
    exit_code: optional(exitCode),
    stdout: z.string(),
    stderr: z.string(),
    error_message: optional(z.string()),
  }),
  z.transform(({ exit_code, stdout, stderr, error_message }) => ({
    exitCode: exit_code,
    stdout,
    stderr,
    errorMessage: error_message,
  })),
);

/** Writes the answer to `POST /v1/run`. */
export function toWireRunResult(result: {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  errorMessage: string | null;
}): object {
  const { exitCode, stdout, stderr, errorMessage } = result;
  return { exit_code: exitCode, stdout, stderr, error_message: errorMessage };
}

/** Schema of the answer to `GET /v1/images`. */
export const wireImages = z.array(
  z.pipe(
    z.object({
      name: z.string(),
      aliases: z.array(z.string()),
      stands_for: z.optional(z.array(z.string())),
      description: z.string(),
      download_bytes: z.number(),
      total_bytes: z.number(),
    }),
    z.transform(
      ({ name, aliases, stands_for, description, download_bytes, total_bytes }): ImageInfo => ({
        name,
        aliases,
        ...(stands_for && { standsFor: stands_for }),
        description,
        downloadBytes: download_bytes,
        totalBytes: total_bytes,
      }),
    ),
  ),
);

/** Writes one image of the answer to `GET /v1/images`. */
export function toWireImage(image: ImageInfo): object {
  const { name, aliases, standsFor, description, downloadBytes, totalBytes } = image;
  return {
    name,
    aliases,
    ...(standsFor && { stands_for: standsFor }),
    description,
    download_bytes: downloadBytes,
    total_bytes: totalBytes,
  };
}

/** Schema of the answer to `GET .../usage`. */
export const wireUsage = z.pipe(
  z.object({ disk_bytes: z.number(), disk_limit_bytes: z.number(), persistent: z.boolean() }),
  z.transform(
    ({ disk_bytes, disk_limit_bytes, persistent }): BoxUsage => ({
      diskBytes: disk_bytes,
      diskLimitBytes: disk_limit_bytes,
      persistent,
    }),
  ),
);

/** Writes the answer to `GET .../usage`. */
export function toWireUsage({ diskBytes, diskLimitBytes, persistent }: BoxUsage): object {
  return { disk_bytes: diskBytes, disk_limit_bytes: diskLimitBytes, persistent };
}

/** Schema of the body of any error. `errno` is the name of the errno with which a box refused something; only servers of this project send it. */
export const wireError = z.object({
  code: z.string(),
  message: z.string(),
  errno: z.optional(z.string()),
});
/** Schema of an answer without contents. */
export const wireDone = z.object({});
/** Schema of the answer to `POST /v1/gc`. */
export const wireRemoved = z.object({ removed: z.number() });

/** Writes the body of `POST /v1/boxes`, without fields that are null. */
export function toCreateRequest(spec: BoxSpecInput): object {
  const body = {
    image: spec.image,
    name: spec.name,
    cpu: spec.cpu,
    memory_mb: spec.memoryMb,
    disk_size_gb: spec.diskSizeGb,
    network: spec.network,
    workdir: spec.workdir,
    env: spec.env,
    volumes: spec.volumes?.map(toWireVolume),
  };
  return withoutNull(body);
}

/** Writes the body of `POST .../exec`. `stdin` and `stderr` are left out unless they are set: plain servers do not know them. */
export function toExecRequest({ cmd, env, workdir, timeoutMs, stdin, stderr }: ExecSpecInput): object {
  return withoutNull({ cmd, env, workdir, timeout_ms: timeoutMs, stdin: stdin || null, stderr });
}

function withoutNull(body: object): object {
  return Object.fromEntries(
    Object.entries(body).filter(([, value]) => value !== null && value !== undefined),
  );
}
