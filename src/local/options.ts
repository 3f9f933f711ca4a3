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
   * "strict": a power cut, too; each write waits for the device.
   */
  durability?: "relaxed" | "strict";
  /** True: an image that only stands in for the one that was asked for ("ubuntu:24.04") is refused with IMAGE_PULL_FAILED. Default false. */
  strictImages?: boolean;
  /** How much of an execution's output is kept for readers to come, in bytes. Default 16 MiB. */
  logLimitBytes?: number;
}
