/** True for a command that may have been wrapped by base64-output.ts, which most programs never need to load: its shells are named "boxrun". */
export function mayBeWrapped(cmd: readonly string[]): boolean {
  return cmd[1] === "-c" && cmd[3] === "boxrun";
}
