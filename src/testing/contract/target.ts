import type { BoxHandle, BoxRunClient } from "../../index.js";
import type { Cases, Expect } from "./runner.js";

/** One place that the contract is run against: what is true of it, as data. */
export interface Target {
  /** "local in Node". */
  name: string;
  /** A new client; the suite closes it. All clients of one target see the same boxes. */
  createClient(): BoxRunClient;
  /** The smallest image there. */
  image: string;
  /** Before the first client, and after the last. */
  setUp?(): Promise<void>;
  tearDown?(): Promise<void>;
  /**
   * Cases that cannot pass here, by their exact names, and why. They are run all the same and must fail: one that passes has no business in this table, and one that is
   * not there at all neither. Each is named, with its reason, in the report.
   */
  cannot: Readonly<Record<string, string>>;
}

/** What the groups of cases share: their runner, one client and one box, made once. */
export interface Context {
  it: Cases;
  expect: Expect;
  target: Target;
  client: BoxRunClient;
  box: BoxHandle;
}
