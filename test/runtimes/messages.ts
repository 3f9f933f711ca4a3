import type { ClientOptions } from "boxrun";

/** What a runtime is told: which contract to run, and where to say how it went. As JSON. */
export interface Settings {
  /** "remote in Deno". */
  name: string;
  client: ClientOptions;
  cannot: Readonly<Record<string, string>>;
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
