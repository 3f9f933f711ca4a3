import type { Backend, BackendPorts, BoxInfo } from "../backend/backend.js";
import { requireCapability } from "../backend/capabilities.js";
import { BoxRunError, isBoxRunError, unsupported } from "../backend/errors.js";
import { requirePort } from "../backend/ports.js";
import { hostOf } from "./guard.js";

/** Most previews that a server has at once. */
const MAX_PREVIEWS = 1000;
/** Characters of a secret, each of five bits. */
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
/** Length of a secret: 130 bits. */
const SECRET_LENGTH = 26;
/** Longest part of a box's id in a label, which has at most 63 characters in all. */
const MAX_ID_LENGTH = 24;

/** An origin that leads to a port of a box. */
export interface Preview {
  /** Name by which it is closed. Not a secret. */
  id: string;
  boxId: string;
  port: number;
  /** First label of its host: port, box and secret. */
  label: string;
  /** Start of the box's run, with which the preview ends. */
  startedAt: number | undefined;
  /** Signal that aborts when the preview is closed. */
  life: AbortController;
}

/** The previews of one server: who may look at which port of which box. */
export class Previews {
  private readonly byLabel = new Map<string, Preview>();
  private count = 0;

  constructor(
    private readonly backend: Backend,
    private readonly domain: string | undefined,
  ) {}

  /**
   * Opens a preview. `request` asked for it, and came by the port that the preview's URL names.
   *
   * @throws {BoxRunError} UNSUPPORTED when the server has no domain for previews
   * @throws {BoxRunError} RESOURCE_EXCEEDED when it has too many
   */
  async open(boxId: string, port: number, request: Request): Promise<{ id: string; url: string }> {
    requireCapability(this.backend.capabilities, "ports");
    requirePort(port);
    const { domain } = this;
    if (domain === undefined)
      throw unsupported(
        "previews: this server has no domain for them",
        "use its address on loopback, or start boxrun serve with --preview-domain DOMAIN, whose names all lead to it",
      );
    const box = await this.backend.getBox(boxId);
    if (box.status !== "running")
      throw new BoxRunError("BOX_NOT_RUNNING", `box ${boxId} has status ${box.status} (start it first)`);
    if (this.byLabel.size >= MAX_PREVIEWS) await this.dropEnded();
    if (this.byLabel.size >= MAX_PREVIEWS)
      throw new BoxRunError("RESOURCE_EXCEEDED", `the server has ${MAX_PREVIEWS} previews already`);
    const label = labelOf(port, box.id);
    const id = `preview_${++this.count}`;
    const startedAt = box.startedAt?.getTime();
    this.byLabel.set(label, { id, boxId: box.id, port, label, startedAt, life: new AbortController() });
    return { id, url: `${originOf(request, `${label}.${domain}`)}/` };
  }

  /** Closes a preview, and cuts its connections. Does nothing when there is none. */
  close(boxId: string, port: number, id: string): void {
    for (const preview of this.byLabel.values())
      if (preview.boxId === boxId && preview.port === port && preview.id === id) this.end(preview);
  }

  /** Closes all previews of a box. */
  closeAll(boxId: string): void {
    for (const preview of this.byLabel.values()) if (preview.boxId === boxId) this.end(preview);
  }

  /** Finds the preview of a label; undefined when it was closed, its box has ended since, or there never was one. */
  async find(label: string): Promise<Preview | undefined> {
    const preview = this.byLabel.get(label);
    if (!preview) return undefined;
    const box = await this.boxOf(preview);
    if (box?.status !== "running" || box.startedAt?.getTime() !== preview.startedAt) this.end(preview);
    return preview.life.signal.aborted ? undefined : preview;
  }

  /** Returns how to connect to the port of a preview. */
  connectTo({
    boxId,
    port,
  }: Preview): (options: { signal?: AbortSignal }) => ReturnType<BackendPorts["connect"]> {
    return async (options) => {
      const { ports } = this.backend;
      if (!ports) throw unsupported("this backend has no connections to boxes");
      return ports.connect(boxId, port, options);
    };
  }

  private async boxOf({ boxId }: Preview): Promise<BoxInfo | undefined> {
    try {
      return await this.backend.getBox(boxId);
    } catch (error) {
      if (isBoxRunError(error) && error.code === "BOX_NOT_FOUND") return undefined;
      throw error;
    }
  }

  private async dropEnded(): Promise<void> {
    await Promise.allSettled([...this.byLabel.keys()].map((label) => this.find(label)));
  }

  private end(preview: Preview): void {
    this.byLabel.delete(preview.label);
    preview.life.abort(new BoxRunError("CANCELED", "the preview was closed"));
  }
}

/** Makes the label of a new preview, whose secret nobody can guess. */
function labelOf(port: number, boxId: string): string {
  const box = boxId
    .replace(/^box_/, "")
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "")
    .slice(0, MAX_ID_LENGTH);
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_LENGTH));
  return `${port}-${box}-${Array.from(bytes, (byte) => ALPHABET[byte & 31]).join("")}`;
}

/** Returns the origin of a host on the port by which a request came. A proxy with TLS says so by x-forwarded-proto. */
function originOf(request: Request, name: string): string {
  const isSecure =
    request.headers.get("x-forwarded-proto") === "https" || new URL(request.url).protocol === "https:";
  const [, port = ""] = /(:\d+)$/.exec(hostOf(request)) ?? [];
  return `${isSecure ? "https" : "http"}://${name}${port}`;
}
