import type { ClientOptions } from "boxrun";

/** What a runtime is told: which contract to run, and where to say how it went. As JSON. */
export interface Settings {
  /** "remote in Deno". */
  name: string;
  client: ClientOptions;
  /** Directory that boxes may mount. */
  hostDirectory?: string;
  cannot: Readonly<Record<string, string>>;
  /** Groups of the contract to run. By default, all. */
  groups?: readonly string[];
  /** A URL that takes each {@link Message} as the body of a POST. */
  reportTo: string;
}

/** What a runtime says while it runs the contract, in this order: all cases, one result for each, the end. */
export type Message =
  /** Of each case its groups' names and its own. */
  | { type: "cases"; cases: string[][] }
  /** `error` is missing when it passed. */
  | { type: "result"; index: number; error?: string }
  /** `error` says what went wrong after the last case. */
  | { type: "end"; error?: string };

/** The settings of test/pages/kept.mjs, as JSON. */
export interface KeptSettings {
  /** 1 writes, 2 reads. */
  life: 1 | 2;
  /** True when the page ends its first life by itself, by a reload. */
  reload: boolean;
}

/** The report of each life of test/pages/kept.mjs: the first one's comes when what it wrote is stored. */
export interface KeptReport {
  life: 1 | 2;
  /** Contents of the files, one after the other. In the second life only. */
  found?: string;
  error?: string;
}
