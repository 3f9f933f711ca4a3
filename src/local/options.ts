/** Options of the local backend. */
export interface LocalOptions {
  /**
   * Where the package's assets are served: a URL, or a path in Node. Default: the package's own `dist/assets`, found relative to
   * the module. A bundler does not copy them: name the place you serve them from.
   */
  assets?: string;
  /** How much of an execution's output is kept for readers to come, in bytes. Default 16 MiB. */
  logLimitBytes?: number;
}
