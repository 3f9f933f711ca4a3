/** Returns true for a command that base64-output.ts may have wrapped: its shells are named "boxrun". Most programs never need to load that file. */
export function mayBeWrapped(cmd: readonly string[]): boolean {
  return cmd[1] === "-c" && cmd[3] === "boxrun";
}
