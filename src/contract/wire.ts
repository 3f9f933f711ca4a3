/**
 * The bodies of the BoxRun API: with requests.ts the one place that knows the wire's names. Each noun has a schema that reads it, for the client, and a function that
 * writes it, for the server; requests have a function that writes them. Unknown fields pass: servers and clients of other versions have others.
 */
import * as z from "zod/mini";
import { type BoxSpecInput, type ExecSpecInput, optional } from "./schemas.js";
import type { BoxInfo, BoxUsage, ExecInfo, ImageInfo, LocalBoxInfo, VolumeSpec } from "./types.js";

/** The header by which our client tells our server that it understands the fields that the published API does not have. */
export const CLIENT_HEADER = "boxrun-client";
/** The header by which our server tells the permission bits of a file that it gives, in octal digits. */
export const MODE_HEADER = "boxrun-mode";
/** As Linux has them. */
const MAX_SIGNAL = 64;
const MAX_EXIT_CODE = 255;

const time = z.pipe(
  z.string().check(z.refine((value) => !Number.isNaN(Date.parse(value)), "must be a time (RFC 3339)")),
  z.transform((value) => new Date(value)),
);
/** Reads an exit code: up to 255, or a signal as a negative number, as servers of the published API tell of it. */
export const exitCode = z
  .number()
  .check(
    z.refine(
      (code) => Number.isInteger(code) && code >= -MAX_SIGNAL && code <= MAX_EXIT_CODE,
      `must be an exit code from -${MAX_SIGNAL} to ${MAX_EXIT_CODE}`,
    ),
  );
const environment = z.record(z.string(), z.string());

const wireVolume = z.pipe(
  z.object({ host_path: z.string(), guest_path: z.string(), readonly: z.optional(z.boolean()) }),
  z.transform(
    ({ host_path, guest_path, readonly }): VolumeSpec => ({
      hostPath: host_path,
      guestPath: guest_path,
      ...(readonly !== undefined && { readonly }),
    }),
  ),
);

const localInfo = z.object({
  image: z.string(),
  cpus: z.number(),
  persistent: z.boolean(),
  boot: z.nullable(z.string()),
  warnings: z.array(z.string()),
});

/** Reads a box. */
export const wireBox = z.pipe(
  z.object({
    id: z.string(),
    name: optional(z.string()),
    status: z.string(),
    image: z.string(),
    cpu: z.number(),
    memory_mb: z.number(),
    disk_size_gb: z.number(),
    network: z.boolean(),
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
      status: box.status,
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
export const wireBoxes = z.array(wireBox);

/** Writes a box: all 17 keys, null where empty. `local` only for clients that know it. */
export function toWireBox(box: BoxInfo, { extended }: { extended: boolean }): object {
  const local: LocalBoxInfo | undefined = extended ? box.local : undefined;
  return {
    id: box.id,
    name: box.name,
    status: box.status,
    image: box.image,
    cpu: box.cpu,
    memory_mb: box.memoryMb,
    disk_size_gb: box.diskSizeGb,
    network: box.network,
    workdir: box.workdir,
    env: box.env,
    volumes:
      box.volumes?.map(({ hostPath, guestPath, readonly }) => ({
        host_path: hostPath,
        guest_path: guestPath,
        readonly: readonly ?? false,
      })) ?? null,
    boxlite_id: null,
    error_code: box.errorCode,
    error_message: box.errorMessage,
    created_at: box.createdAt.toISOString(),
    started_at: box.startedAt?.toISOString() ?? null,
    stopped_at: box.stoppedAt?.toISOString() ?? null,
    ...(local && { local }),
  };
}

/** Reads an execution. */
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
      status: exec.status,
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
export const wireExecs = z.array(wireExec);

/** Writes an execution. `truncated` only for clients that know it. */
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

/** Reads what a server says of itself; anything else at `/v1/info` is not a BoxRun server. */
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
    /** "boxrun-ts/<version>" for servers that have extensions. */
    server: server ?? null,
    capabilities: capabilities ?? [],
  })),
);

/** Writes what a server is. */
export function toWireInfo(info: {
  maxCpu: number;
  maxMemoryMb: number;
  server: string;
  capabilities: string[];
}): object {
  const { maxCpu, maxMemoryMb, server, capabilities } = info;
  return { max_cpu: maxCpu, max_memory_mb: maxMemoryMb, server, capabilities };
}

/** Reads the answer of `POST /v1/run`. */
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

/** Writes the answer of `POST /v1/run`. */
export function toWireRunResult(result: {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  errorMessage: string | null;
}): object {
  const { exitCode, stdout, stderr, errorMessage } = result;
  return { exit_code: exitCode, stdout, stderr, error_message: errorMessage };
}

/** Reads the images of a server that tells them. */
export const wireImages = z.array(
  z.pipe(
    z.object({
      name: z.string(),
      aliases: z.array(z.string()),
      description: z.string(),
      download_bytes: z.number(),
      total_bytes: z.number(),
    }),
    z.transform(
      ({ name, aliases, description, download_bytes, total_bytes }): ImageInfo => ({
        name,
        aliases,
        description,
        downloadBytes: download_bytes,
        totalBytes: total_bytes,
      }),
    ),
  ),
);

/** Writes an image. */
export function toWireImage({ name, aliases, description, downloadBytes, totalBytes }: ImageInfo): object {
  return { name, aliases, description, download_bytes: downloadBytes, total_bytes: totalBytes };
}

/** Reads a box's usage. */
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

/** Writes a box's usage. */
export function toWireUsage({ diskBytes, diskLimitBytes, persistent }: BoxUsage): object {
  return { disk_bytes: diskBytes, disk_limit_bytes: diskLimitBytes, persistent };
}

/** Reads the error body of any request. `errno` is ours: the reason that a box gave. */
export const wireError = z.object({
  code: z.string(),
  message: z.string(),
  errno: z.optional(z.string()),
});
/** Reads an answer that says no more than that it was done. */
export const wireDone = z.object({});
/** Reads the answer of `POST /v1/gc`. */
export const wireRemoved = z.object({ removed: z.number() });

/** Writes the body of `POST /v1/boxes`: every field but null ones. */
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
    volumes: spec.volumes?.map(({ hostPath, guestPath, readonly }) => ({
      host_path: hostPath,
      guest_path: guestPath,
      readonly: readonly ?? false,
    })),
  };
  return withoutNull(body);
}

/** Writes the body of `POST .../exec`. A plain server never sees `stdin` and `stderr`. */
export function toExecRequest({ cmd, env, workdir, timeoutMs, stdin, stderr }: ExecSpecInput): object {
  return withoutNull({ cmd, env, workdir, timeout_ms: timeoutMs, stdin: stdin || null, stderr });
}

function withoutNull(body: object): object {
  return Object.fromEntries(
    Object.entries(body).filter(([, value]) => value !== null && value !== undefined),
  );
}
