import * as z from "zod/mini";
import type { BoxInfo, BoxSpec, Secrets } from "../../backend/backend.js";
import { BoxRunError } from "../../backend/errors.js";

/** Version of everything that is stored of a box: this record, its history and the layout of its disk. */
export const FORMAT_VERSION = 2;

const time = z.nullable(z.string().check(z.refine((value) => !Number.isNaN(Date.parse(value)))));
const specSchema = z.object({
  image: z.string(),
  name: z.nullable(z.string()),
  cpu: z.number(),
  memoryMb: z.int().check(z.positive()),
  diskSizeGb: z.int().check(z.positive()),
  network: z.union([
    z.boolean(),
    z.object({
      allow: z.exactOptional(z.array(z.string())),
      deny: z.exactOptional(z.array(z.string())),
      lan: z.exactOptional(z.string()),
    }),
  ]),
  workdir: z.string(),
  env: z.nullable(z.record(z.string(), z.string())),
  volumes: z.nullable(
    z.array(
      z.union([
        z.object({ hostPath: z.string(), guestPath: z.string(), readonly: z.exactOptional(z.boolean()) }),
        z.object({
          source: z.literal(["memory", "folder"]),
          guestPath: z.string(),
          readonly: z.exactOptional(z.boolean()),
        }),
      ]),
    ),
  ),
});
const recordSchema = z.object({
  version: z.literal(FORMAT_VERSION),
  id: z.string(),
  spec: specSchema,
  /**
   * The image that its disk goes with. `baseSha256` is that of the whole image. Older boxes have `base` instead, the SHA-256 of its packed list
   * of chunks; null in a box whose first version did not store it.
   */
  image: z.nullable(
    z.object({
      name: z.string(),
      description: z.string(),
      base: z.exactOptional(z.nullable(z.string())),
      baseSha256: z.exactOptional(z.string()),
    }),
  ),
  /** Names of its secrets. Their values are never stored. */
  secrets: z.exactOptional(z.array(z.string())),
  /** False until the box has run for the first time. Without an owner, such a record is left over from an interrupted creation. */
  made: z.boolean(),
  createdAt: time,
  startedAt: time,
  /** Null while it runs, and after a run that was cut off. */
  stoppedAt: time,
  /** Error that ended it; null after a regular stop. */
  error: z.nullable(z.object({ code: z.string(), message: z.string() })),
});

/** Stored data of a box beside its disk, as plain data. */
export type BoxRecord = z.infer<typeof recordSchema>;

/** Upgrades of records, by the version that they come from. */
const UPGRADES: Record<number, (record: Record<string, unknown>) => Record<string, unknown>> = {
  // Version 1 knew the image by its name alone.
  1: ({ image, ...record }) => ({
    ...record,
    version: 2,
    image: typeof image === "string" ? { name: image, description: image, base: null } : null,
  }),
};

/** Reads a record of this or an older version. @throws {BoxRunError} STATE_MISMATCH for a newer one, and for a damaged one */
export function parseRecord(id: string, stored: unknown): BoxRecord {
  let record = stored as Record<string, unknown>;
  for (;;) {
    const upgrade = typeof record?.["version"] === "number" ? UPGRADES[record["version"]] : undefined;
    if (!upgrade) break;
    record = upgrade(record);
  }
  const parsed = recordSchema.safeParse(record);
  if (parsed.success && parsed.data.id === id) return parsed.data;
  const version = record?.["version"];
  if (typeof version === "number" && version > FORMAT_VERSION) {
    throw new BoxRunError("STATE_MISMATCH", `box ${id} was made by a newer version of boxrun`, {
      hint: "update boxrun",
    });
  }
  throw new BoxRunError("STATE_MISMATCH", `the record of box ${id} is damaged`, {
    hint: "the disk beside it may be intact: save it before you remove the box",
  });
}

/** Creates the record of a new box. */
export function newRecord(id: string, spec: BoxSpec, secrets?: Secrets): BoxRecord {
  return {
    version: FORMAT_VERSION,
    id,
    spec: { ...spec },
    image: null,
    ...(secrets && { secrets: Object.keys(secrets) }),
    made: false,
    createdAt: new Date().toISOString(),
    startedAt: null,
    stoppedAt: null,
    error: null,
  };
}

/** Most memory that a machine can have, in MiB: all that v86 can address. */
const MAX_MACHINE_MB = 2000;

/** Returns the memory in MiB that the machine of a box gets, which may be a little less than what was asked for. */
export function machineMemoryMb(askedMb: number): number {
  return Math.min(askedMb, MAX_MACHINE_MB);
}

/** Describes a box from its record and its lock. */
export function describeRecord(record: BoxRecord, locked: boolean, persistent: boolean): BoxInfo {
  const { spec, id, image, secrets, made, error } = record;
  const date = (text: string | null) => (text === null ? null : new Date(text));
  const idle = error ? "error" : "stopped";
  return {
    ...spec,
    id,
    status: locked ? (made ? "running" : "creating") : idle,
    errorCode: error?.code ?? null,
    errorMessage: error?.message ?? null,
    createdAt: date(record.createdAt) ?? new Date(0),
    startedAt: date(record.startedAt),
    stoppedAt: date(record.stoppedAt),
    local: {
      image: image?.description ?? "",
      cpus: 1,
      memoryMb: machineMemoryMb(spec.memoryMb),
      persistent,
      boot: null,
      ...(secrets && { secrets }),
      warnings: [],
    },
  };
}

/** Describes a box whose record cannot be read. It can be listed and removed, nothing else. */
export function describeDamaged(id: string, error: BoxRunError): BoxInfo {
  return {
    id,
    status: "error",
    image: "",
    name: null,
    cpu: 1,
    memoryMb: 0,
    diskSizeGb: 0,
    network: false,
    workdir: "/",
    env: null,
    volumes: null,
    errorCode: error.code,
    errorMessage: error.message,
    createdAt: new Date(0),
    startedAt: null,
    stoppedAt: null,
  };
}
