import type { Backend, BoxInfo, BoxSpec, Secrets, VolumeSpec } from "../backend/backend.js";
import { callOptions, withSignal } from "../backend/call.js";
import { BoxRunError, invalid, isBoxRunError } from "../backend/errors.js";
import { parseBoxSpec, requireSignal } from "../backend/validate.js";
import { splitVolumes } from "../backend/volume-sources.js";
import { requireRules } from "../network/rules.js";
import { parseSecrets, requireSameHosts, requireSameSecrets, withSecrets } from "../network/secrets.js";
import { untilAborted } from "../util/abort.js";
import { pause } from "../util/timer.js";
import type { CreateOptions } from "./client-options.js";
import { withSources } from "./initial-files.js";

/** Interval of the polls of a box that somebody else is creating. */
const LOOK_AGAIN_MS = 250;
/** Longest wait for a box that somebody else is creating. */
const CREATING_MS = 5 * 60_000;
/** Ways of the client to its backend and its boxes. */
interface ClientParts<Handle> {
  backend(): Promise<Backend>;
  /** Creates the box. Called only when there is none of the name. */
  create(options: Options): Promise<Handle>;
  /** Makes a handle of a box that was found. */
  handle(backend: Backend, info: BoxInfo): Handle;
}

type Options = Omit<CreateOptions, "name">;

/** Implements `Client.getOrCreate`. */
export async function getOrCreate<Handle>(
  name: string,
  image: string,
  options: Options,
  client: ClientParts<Handle>,
): Promise<Handle> {
  const { signal, onProgress: _onProgress, files, secrets, ...rest } = options;
  requireSignal(signal);
  if ("name" in rest) throw invalid("the name of the box is the first argument, and no option");
  const spec = specOf(rest, image, name);
  requireRules(spec.network);
  if (secrets !== undefined) parseSecrets(secrets);
  if (files === undefined) return findOrCreate(name, image, options, client);
  return withSources(files, (checked) => findOrCreate(name, image, { ...options, files: checked }, client));
}

async function findOrCreate<Handle>(
  name: string,
  image: string,
  options: Options,
  client: ClientParts<Handle>,
): Promise<Handle> {
  const { signal } = options;
  signal?.throwIfAborted();
  const backend = await untilAborted(client.backend(), signal);
  for (const until = Date.now() + CREATING_MS; ; ) {
    signal?.throwIfAborted();
    const info = await find(backend, name, signal);
    if (!info) {
      try {
        return await client.create(options);
      } catch (error) {
        // Some backends show a box only once it is created.
        if (!isCode(error, "NAME_ALREADY_EXISTS") || Date.now() > until) throw error;
        await pause(LOOK_AGAIN_MS, signal);
      }
    } else if (info.status === "creating") {
      if (Date.now() > until)
        throw new BoxRunError("BOX_LOCKED", `box ${name} is still being created by another page or process`);
      await pause(LOOK_AGAIN_MS, signal);
    } else {
      await requireSame(backend, info, name, image, options);
      if (info.status === "running") return client.handle(backend, info);
      const started = await start(backend, info, options);
      if (started) return client.handle(backend, started);
    }
  }
}

/** Finds the box of a name. A name may look like an id, which finds a box, too. */
async function find(
  backend: Backend,
  name: string,
  signal: AbortSignal | undefined,
): Promise<BoxInfo | undefined> {
  try {
    const info = await withSignal(signal, () => backend.getBox(name, callOptions(signal)));
    return info.name === name ? info : undefined;
  } catch (error) {
    if (isCode(error, "BOX_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** Starts a box, unless somebody else has done so. Resolves to undefined when the box has been removed meanwhile. */
async function start(
  backend: Backend,
  { id }: BoxInfo,
  { signal, onProgress, secrets, volumes }: Options,
): Promise<BoxInfo | undefined> {
  const options = withSecrets(
    {
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
      ...(secrets && { secrets }),
      ...(volumes && { volumes: splitVolumes(volumes).sources }),
    },
    backend,
  );
  try {
    return await untilAborted(backend.startBox(id, options), signal);
  } catch (error) {
    if (isCode(error, "BOX_NOT_FOUND")) return undefined;
    if (!isCode(error, "BOX_ALREADY_RUNNING") && !isCode(error, "BOX_LOCKED")) throw error;
    const info = await withSignal(signal, () => backend.getBox(id, callOptions(signal)));
    // The lock of a box that does not run is held by somebody who is removing it, say.
    if (info.status !== "running") throw error;
    return info;
  }
}

/** Compares a box with what the caller asks for: the image, and those options that are given. */
async function requireSame(
  backend: Backend,
  info: BoxInfo,
  name: string,
  image: string,
  options: Options,
): Promise<void> {
  const { signal, onProgress: _onProgress, files: _files, secrets, ...asked } = options;
  requireSecretsOf(info, name, parseSecrets(secrets ?? {}));
  const spec = specOf(asked, image, name);
  const faults: string[] = [];
  if (!(await isSameImage(backend, info.image, image, signal)))
    faults.push(`image ${JSON.stringify(info.image)}, asked for ${JSON.stringify(image)}`);
  for (const key of ["cpu", "memoryMb", "diskSizeGb", "network", "workdir"] as const) {
    const [is, wanted] = [optionText(info[key]), optionText(spec[key])];
    if (asked[key] !== undefined && is !== wanted) faults.push(`${key} ${is}, asked for ${wanted}`);
  }
  if (asked.env !== undefined) {
    const names = differing(info.env ?? {}, spec.env ?? {});
    // Values may be secret.
    if (names.length > 0) faults.push(`other values of env than asked for: ${names.join(", ")}`);
  }
  if (asked.volumes !== undefined && volumes(info.volumes) !== volumes(spec.volumes))
    faults.push(`volumes ${volumes(info.volumes)}, asked for ${volumes(spec.volumes)}`);
  if (faults.length > 0)
    throw invalid(
      `box ${name} exists with ${faults.join("; ")}`,
      "use another name, remove the box, or leave out what need not be so",
    );
}

/** Checks the description of a box among the options. */
function specOf(options: Options, image: string, name: string): BoxSpec {
  const { specs } = splitVolumes(options.volumes);
  return parseBoxSpec({ ...options, ...(options.volumes && { volumes: specs }), image, name });
}

/** Compares the secrets of a box with those that are given. One that runs has the values of its last start, and keeps them. */
function requireSecretsOf({ id, local }: BoxInfo, name: string, secrets: Secrets | undefined): void {
  if (!local || !(secrets || local.secrets)) return;
  requireSameSecrets(id, local.secrets ?? [], secrets);
  if (local.secretHosts) requireSameHosts(name, local.secretHosts, secrets ?? {});
}

/** Returns true for two names of one image, as far as the backend knows its images. */
async function isSameImage(
  backend: Backend,
  one: string,
  other: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (one === other) return true;
  const images = await withSignal(signal, () => backend.images(callOptions(signal))).catch((error) => {
    if (isCode(error, "UNSUPPORTED")) return [];
    throw error;
  });
  return images.some(({ name, aliases }) => [one, other].every((is) => is === name || aliases.includes(is)));
}

/** Returns the names whose values differ. */
function differing(one: Record<string, string>, other: Record<string, string>): string[] {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].filter((name) => one[name] !== other[name]).sort();
}

/** Writes an option such that texts are equal if the options are. A network with no rules is one without restrictions. */
function optionText(option: string | number | BoxInfo["network"]): string {
  if (typeof option !== "object") return JSON.stringify(option);
  const { allow, deny, lan } = option;
  return JSON.stringify(allow || deny || lan ? { allow, deny, lan } : true);
}

function volumes(list: readonly VolumeSpec[] | null): string {
  return JSON.stringify(
    (list ?? []).map(({ guestPath, readonly = false, ...volume }) => ({ ...volume, guestPath, readonly })),
  );
}

function isCode(error: unknown, code: string): boolean {
  return isBoxRunError(error) && error.code === code;
}
