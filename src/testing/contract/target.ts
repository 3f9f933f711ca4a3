import type { BoxHandle, BoxRunClient } from "../../index.js";
import type { Cases, Expect } from "./runner.js";

/** A backend in one environment, for {@link contractSuite} to test. */
export interface Target {
  /** Name for the report: "local in Node". */
  name: string;
  /** Creates a client, which the suite closes. All clients of one target must see the same boxes. */
  createClient(): BoxRunClient;
  /** Name of the smallest image that the backend has. */
  image: string;
  /** Absolute path of an empty directory on the machine that runs the boxes, which they may mount. Needed where the capability `volumes` is true. */
  hostDirectory?: string;
  /** Called before the first client is created. */
  setUp?(): Promise<void>;
  /** Called after the last client has been closed. */
  tearDown?(): Promise<void>;
  /**
   * Reasons why cases cannot pass here, by the exact names of the cases. These are run all the same and must fail; a case that passes is an error, and so is a
   * name for which there is no case. The report shows each one with its reason.
   */
  cannot: Readonly<Record<string, string>>;
}

/** Objects that all groups of cases share. */
export interface Context {
  /** Function that declares cases. */
  it: Cases;
  /** Function that checks values. */
  expect: Expect;
  /** Target that is tested. */
  target: Target;
  /** Client of the target. */
  client: BoxRunClient;
  /** Box of that client, created once. */
  box: BoxHandle;
}
