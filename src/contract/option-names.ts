import { closest } from "../util/closest.js";

/** Names that other SDKs have for options of this one. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  timeout: "timeoutMs",
  memory: "memoryMb",
  disk: "diskSizeGb",
  cpus: "cpu",
  envs: "env",
  environment: "env",
  cwd: "workdir",
  url: "baseUrl",
  apiKey: "token",
};

/** Describes an option that does not exist, with the one of `names` that was probably meant. `where` is the path of the object that it is in. */
export function describeUnknown(given: string, names: readonly string[], where = ""): string {
  const elsewhere = ELSEWHERE[given];
  const meant = elsewhere && names.includes(elsewhere) ? elsewhere : closest(given, names);
  const path = where ? `${where}.${given}` : given;
  return `unknown option ${path}${meant === undefined ? "" : ` (did you mean ${meant}?)`}`;
}
