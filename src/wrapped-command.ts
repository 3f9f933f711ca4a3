/** The name (`$0`) that shells of ours have, which run another command. */
export const WRAPPER_NAME = "boxrun";

/** True for a command that may have been wrapped by exact-output.ts, which most programs never need to load. */
export function mayBeWrapped(cmd: readonly string[]): boolean {
  return cmd[1] === "-c" && cmd[3] === WRAPPER_NAME;
}
