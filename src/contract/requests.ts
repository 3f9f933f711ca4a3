/**
 * Schemas by which a server reads the bodies of requests. wire.ts has the functions that write them; they are apart because a client needs no schemas of
 * requests.
 */
import * as z from "zod/mini";
import {
  type BoxSpecInput,
  boxFields,
  DEFAULT_GC_SECONDS,
  type ExecSpecInput,
  execFields,
  optional,
  presentNetwork,
  signalName,
} from "./schemas.js";
import { secretsSchema } from "./secret-schemas.js";

const requestedVolume = z.pipe(
  z.object({
    host_path: boxFields.hostPath,
    guest_path: boxFields.guestPath,
    readonly: z.optional(z.nullable(z.boolean())),
  }),
  z.transform(({ host_path, guest_path, readonly }) => ({
    hostPath: host_path,
    guestPath: guest_path,
    readonly: readonly ?? false,
  })),
);

// A field that a request leaves out, or sends as null, gets its default from schemas.ts.
const createFields = {
  image: boxFields.image,
  name: optional(boxFields.name),
  cpu: optional(boxFields.cpu),
  memory_mb: optional(boxFields.memoryMb),
  disk_size_gb: optional(boxFields.diskSizeGb),
  network: optional(boxFields.network),
  workdir: optional(boxFields.workdir),
  env: optional(boxFields.env),
  volumes: optional(z.array(requestedVolume)),
};

const requestedBox = z.object(createFields);

/** Schema of the body of `POST /v1/boxes`. */
export const createRequest = z.pipe(requestedBox, z.transform(specOf));

/** Returns the description of a box from a request whose fields have been read. */
function specOf(request: z.output<typeof requestedBox>): BoxSpecInput {
  return {
    image: request.image,
    name: request.name,
    env: request.env,
    volumes: request.volumes,
    ...(request.cpu !== null && { cpu: request.cpu }),
    ...(request.memory_mb !== null && { memoryMb: request.memory_mb }),
    ...(request.disk_size_gb !== null && { diskSizeGb: request.disk_size_gb }),
    ...(request.network !== null && { network: request.network }),
    ...(request.workdir !== null && { workdir: request.workdir }),
  };
}

const secrets = optional(secretsSchema);

/** Schema of the body of `POST /v1/boxes` with secrets, which are no part of a box's description. */
export const createWithSecretsRequest = z.pipe(
  z.object({ ...createFields, secrets }),
  z.transform(({ secrets, ...box }) => ({ box: specOf(box), secrets })),
);

/** Schema of the body of `POST .../{box}:start`. An empty body counts as `{}`. */
export const startRequest = z.object({ secrets });

/** Schema of the body of `POST .../exec`. */
export const execRequest = z.pipe(
  z.object({
    cmd: execFields.cmd,
    env: optional(execFields.env),
    workdir: optional(execFields.workdir),
    timeout_ms: optional(execFields.timeoutMs),
    stdin: z.optional(z.nullable(z.boolean())),
    stderr: optional(execFields.stderr),
  }),
  z.transform(
    ({ cmd, env, workdir, timeout_ms, stdin, stderr }): ExecSpecInput => ({
      cmd,
      env,
      workdir,
      timeoutMs: timeout_ms,
      stdin: stdin ?? false,
      ...(stderr !== null && { stderr }),
    }),
  ),
);

/** Schema of the body of `POST /v1/run`: a box and the command to run in it. */
export const runRequest = z.pipe(
  z.object({
    image: boxFields.image,
    cmd: execFields.cmd,
    cpu: createFields.cpu,
    memory_mb: createFields.memory_mb,
    disk_size_gb: createFields.disk_size_gb,
    network: createFields.network,
    env: createFields.env,
    volumes: createFields.volumes,
    secrets,
    timeout_ms: optional(execFields.timeoutMs),
  }),
  z.transform(({ cmd, timeout_ms, secrets, ...box }) => ({
    box: specOf({ ...box, name: null, workdir: null }),
    secrets,
    exec: { cmd, timeoutMs: timeout_ms } satisfies ExecSpecInput,
  })),
);

/** Schema of the body of `POST /v1/gc`. An empty body counts as `{}`. */
export const gcRequest = z.pipe(
  z.object({
    older_than: optional(z.number().check(z.refine((seconds) => seconds >= 0, "must be at least 0"))),
  }),
  z.transform(({ older_than }) => ({ olderThan: older_than ?? DEFAULT_GC_SECONDS })),
);
/** Schema of the body of `PUT .../network`. */
export const networkRequest = z.object({ network: presentNetwork });
/** Schema of the body of `POST .../exec/{exec}:signal`. */
export const signalRequest = z.object({ signal: signalName });
/** Schema of the body of `POST .../files/download`. */
export const downloadRequest = z.object({ path: z.string() });
