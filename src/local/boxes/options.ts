/** Machines to keep ready for boxes to come. */
export interface WarmBoxes {
  /** As it will be given to `create`. */
  image: string;
  /** As it will be given to `create`, in MB. Default 1024. */
  memoryMb?: number;
  /** How many of them. Default 1. */
  count?: number;
  /**
   * A command that each runs ahead, as root and in "/", so that its like is fast from the first time on. What it writes stays in the box. It is killed when its
   * machine becomes a box, and after a minute. That it fails does not matter. Default none, beside what every one runs.
   */
  warmUp?: readonly string[];
}

/** Options of the local backend. */
export interface LocalOptions {
  /**
   * Where the package's assets are served: a URL, or a path in Node. Default: the package's own `dist/assets`, found relative to
   * the module. A bundler does not copy them: name the place you serve them from.
   */
  assets?: string;
  /**
   * Where boxes are kept. In Node a folder, by default `$BOXRUN_STATE_DIR/local`, else `$XDG_DATA_HOME/boxrun`, else `~/.local/share/boxrun`. In a page
   * what the names of its databases begin with, by default "boxrun".
   */
  state?: string;
  /** A folder, in Node, for what is fetched from a web server; it is kept in one of its own there. Default `$XDG_CACHE_HOME/boxrun`, else `~/.cache/boxrun`. A page uses the browser's caches. */
  cache?: string;
  /** False: boxes are kept in memory and end with the page or process. Default true, where the page or process can keep anything. */
  persistent?: boolean;
  /**
   * What a write that the guest has been told is durable has survived. "relaxed", the default: the end of the page or process, at any moment.
   * "strict": a power cut, too; each write waits for the device. Only disks are meant: in Node a box's record always waits for it.
   */
  durability?: "relaxed" | "strict";
  /** True: an image that only stands in for the one that was asked for ("ubuntu:24.04") is refused with IMAGE_PULL_FAILED. Default false. */
  strictImages?: boolean;
  /**
   * Machines that are started ahead, when the client comes upon the local backend, and whenever one has become a box. A `create` of the same image and memory,
   * and of the default disk size, takes one of them, and gives its first output after some 50 ms (`tiny`) or 140 (`debian`), measured in Node;
   * `info.local.boot` is then "warm". Each takes the memory of a box, of what boxes leave of `memoryMb`, and gives way to them. Default none.
   *
   * @example
   * const warm = [{ image: "python", count: 2, warmUp: ["python3", "-c", ""] }];
   * const client = new BoxRunClient({ local: { warm } });
   */
  warm?: readonly WarmBoxes[];
  /**
   * What the boxes that this client runs may have together, in MiB, as they were asked for: one that does not fit is RESOURCE_EXCEEDED. Default: twice what the
   * device has, since a box takes no more than it has used. A browser that does not tell counts as one with 8 GiB.
   */
  memoryMb?: number;
  /**
   * True, in a page: boxes stand still while the page is hidden, behind other tabs or minimized, and take no processor time. Calls wait until it is seen again.
   * For what runs in them no time goes by: neither their time limits nor their sleeps; the date is set right afterwards. A box may be made, stopped and removed
   * meanwhile. Default false.
   */
  pauseHidden?: boolean;
  /**
   * How much of an execution's output is kept for readers to come, in bytes. Default 16 MiB. All those of a box keep 64 MiB together: beyond that the oldest that
   * have ended are forgotten, and then new output is held only for those who read it already, but for the first 256 KiB of each.
   */
  logLimitBytes?: number;
}
