import type { NetworkOptions } from "../../backend/backend.js";
import type { Dialer } from "../../network/dialer.js";

/** Limits of the directories that boxes may have as volumes. */
export interface VolumeLimits {
  /** Absolute paths of directories of the host. A volume has to be one of them or in one, after all links have been followed. */
  within: readonly string[];
}

/** Machines of one kind to keep ready for new boxes. */
export interface WarmBoxes {
  /** Image name, as it will be passed to `create`. */
  image: string;
  /** Memory in MiB, as it will be passed to `create`. @default 1024 */
  memoryMb?: number;
  /** Number of machines. @default 1 */
  count?: number;
  /**
   * Command, as argv, that each machine runs ahead of time, as root and in "/", so that commands like it are fast from the first one on. Files that it writes
   * stay in the box. It is killed when its machine becomes a box, and after a minute. A failure is ignored.
   * @default none, beside the small processes that every machine runs
   */
  warmUp?: readonly string[];
}

/** An image that has a package of its own, as that package exports it. */
export interface ImagePackage {
  /** Name of the image. */
  name: string;
  /** Folder of the image's files: a URL, or a path in Node. */
  assets: string;
}

/** Options of the local backend, and of `local` in {@link ClientOptions}. */
export interface LocalOptions {
  /**
   * Place of the package's assets (images, kernel, emulator, and in pages the Worker's script): a URL, which may be of another origin, or a path in Node. "cdn" is
   * jsDelivr, with the assets of exactly this version, those of images that have packages of their own among them. `npx boxrun assets` makes a folder of them.
   * @default `dist/assets` of the package; in a page the first that is there: `assets/` beside the package's `browser/`, `boxrun/` below the page's address, `/boxrun/` of its host
   *
   * @example
   * const client = new BoxRunClient({ local: { assets: "/static/boxrun/" } });
   */
  assets?: string;
  /**
   * Images beside those that are in `assets`. In Node, Deno and Bun, an image package that is installed is found without this. In a bundled page, name the URL: `{ name: "debian", assets: "/images/debian/" }`.
   * @default none
   *
   * @example
   * import debian from "@boxrun/image-debian";
   *
   * const client = new BoxRunClient({ local: { images: [debian] } });
   */
  images?: readonly ImagePackage[];
  /**
   * Place where boxes are kept: a folder in Node, and in a page the prefix of the names of its databases.
   * @default in Node `$BOXRUN_STATE_DIR/local`, else `$XDG_DATA_HOME/boxrun`, else `~/.local/share/boxrun`; in a page "boxrun"
   */
  state?: string;
  /**
   * Folder for assets that are fetched from a web server, in Node. They are kept in a subfolder. A page uses the browser's caches instead.
   * @default `$XDG_CACHE_HOME/boxrun`, else `~/.cache/boxrun`
   */
  cache?: string;
  /** Whether boxes outlive the page or process. False: they are kept in memory. @default true, where the page or process can store anything */
  persistent?: boolean;
  /**
   * Durability of a write to a box's disk, once the guest has been told that it is done. "relaxed": it survives the end of the page or process at any moment.
   * "strict": it survives a power cut, too, and each write waits for the device. In Node the record of a box always waits for the device.
   * @default "relaxed"
   */
  durability?: "relaxed" | "strict";
  /**
   * Bounds of what the boxes of this client may reach, whatever their own rules say: what one denies, the other cannot allow. True sets none. False: no box has a
   * network, and `create` with `network` rejects with UNSUPPORTED.
   * @default none
   *
   * @example
   * const client = new BoxRunClient({ local: { network: { allow: ["pypi.org", "*.pythonhosted.org"] } } });
   */
  network?: boolean | NetworkOptions;
  /**
   * Way out of boxes that have a network, in place of real connections: to record them, to answer them from a test, to send them through a proxy. It gets what the rules
   * allow, by name.
   * @default `relay`; without one, real connections in Node, Deno and Bun, and in a page its fetch, which reaches HTTP and HTTPS of sites that let pages read them
   *
   * @example
   * const closed = Object.assign(new Error("nobody is there"), { code: "ECONNREFUSED" });
   * const client = new BoxRunClient({ local: { dialer: { connect: () => Promise.reject(closed) } } });
   */
  dialer?: Dialer;
  /**
   * URL of a relay that speaks Wisp, and makes the connections of boxes that have a network: `boxrun serve --relay`, or another one. It begins with wss: and has a path that ends in "/". With ws: it
   * must be on this machine, or the page must have come without encryption itself. The rules of a box are applied here, before the relay is asked; names are looked up by the relay, and
   * `host.internal` is denied. Beside a relay there is no `dialer`.
   * @default none
   *
   * @example
   * const client = new BoxRunClient({ backend: "local", local: { relay: "wss://box.example.com/v1/relay/?token=secret" } });
   */
  relay?: string;
  /**
   * Directories of the host that the volumes of boxes may be in, or be. False: no box has volumes, and `create` with `volumes` rejects with UNSUPPORTED.
   * @default any directory that this process can read
   *
   * @example
   * const client = new BoxRunClient({ local: { volumes: { within: ["/srv/projects"] } } });
   */
  volumes?: false | VolumeLimits;
  /**
   * Address of an origin with the files of `npx boxrun preview`, by which `box.preview` shows a box's pages in this one: another than the page's own. A "*" in it stands for a
   * name of each preview's own; without, the preview that was opened last is shown. Has no effect outside of pages.
   * @default none: `box.preview` rejects with UNSUPPORTED in a page
   *
   * @example
   * const client = new BoxRunClient({ local: { previewUrl: "https://*.preview.example.com/" } });
   */
  previewUrl?: string;
  /** Whether to refuse an image name that another image stands in for, such as "ubuntu:24.04", with IMAGE_PULL_FAILED. @default false */
  strictImages?: boolean;
  /**
   * Machines that are started ahead of time: when the client chooses the local backend, and again whenever one has become a box. A `create` with the same image
   * and memory and the default disk size takes one of them, and its first command prints after some 50 ms (`tiny`) or 130 ms (`debian`), measured in Node;
   * `info.local.boot` is then "warm". Each takes the memory of a box from the part of `maxTotalMemoryMb` that boxes leave free, and is ended when a box needs it.
   * @default none
   *
   * @example
   * const warm = [{ image: "python", count: 2, warmUp: ["python3", "-c", ""] }];
   * const client = new BoxRunClient({ local: { warm } });
   */
  warm?: readonly WarmBoxes[];
  /**
   * Limit, in MiB, for the sum of `memoryMb` of the boxes that this client runs. `create` and `start` reject with RESOURCE_EXCEEDED beyond it.
   * @default twice the memory of the device, since a box only takes the memory that it has used; 16384 where the device's memory is not known: in some browsers, and in Deno without permission to ask
   */
  maxTotalMemoryMb?: number;
  /**
   * Old name of `maxTotalMemoryMb`. Only one of them may be given.
   * @default `maxTotalMemoryMb`
   * @deprecated Use `maxTotalMemoryMb`.
   */
  memoryMb?: number;
  /**
   * Whether boxes pause while their page is hidden (behind other tabs, or minimized), and take no processor time. Calls wait until the page is visible again.
   * No time passes for commands in a paused box, neither for their time limits nor for their sleeps; the date is corrected afterwards. Boxes can be created,
   * stopped and removed meanwhile. Has no effect outside of pages.
   * @default false
   */
  pauseHidden?: boolean;
  /**
   * Number of bytes of each execution's output that are kept for later readers; each piece of output counts as 128 bytes more. All executions of a box keep 64
   * MiB together: beyond that, the oldest finished ones are forgotten first, and then new output is kept only for current readers, except for the first 256 KiB
   * of each execution.
   * @default 16 MiB
   */
  logLimitBytes?: number;
}
