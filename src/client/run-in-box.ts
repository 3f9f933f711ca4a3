import { requireOptions } from "../backend/validate.js";
import type { Command } from "../exec/arguments.js";
import { directoryOf, type ExecOptions } from "../exec/exec.js";
import type { ExecResult } from "../exec/result.js";
import type { BoxHandle } from "./box.js";
import { cancelUnread, discardBox } from "./cleanup.js";
import type { CreateOptions, RunOptions } from "./client-options.js";

/** Options of the command. All others are those of the box. */
const OF_COMMAND = {
  timeoutMs: true,
  stdin: true,
  stderr: true,
  onStdout: true,
  onStderr: true,
  maxOutputBytes: true,
  check: true,
  encoding: true,
} as const;
const OF_BOX: Record<keyof CreateOptions, true> = {
  name: true,
  cpu: true,
  memoryMb: true,
  diskSizeGb: true,
  network: true,
  secrets: true,
  workdir: true,
  env: true,
  volumes: true,
  files: true,
  signal: true,
  onProgress: true,
};

/** Implements `Client.run`. `create` creates the box. */
export async function runInBox(
  create: (options: CreateOptions) => Promise<BoxHandle>,
  cmd: Command,
  options: RunOptions,
): Promise<ExecResult> {
  const { signal, stdin } = options;
  try {
    requireOptions(options, { ...OF_COMMAND, ...OF_BOX, cwd: true });
    const { cwd, workdir, ...rest } = options;
    const ofCommand: ExecOptions = {};
    const ofBox: CreateOptions = {};
    for (const [name, value] of Object.entries(rest))
      if (value !== undefined) Object.assign(name in OF_COMMAND ? ofCommand : ofBox, { [name]: value });
    const directory = directoryOf(cwd, workdir);
    const box = await create({ ...ofBox, ...(directory !== undefined && { workdir: directory }) });
    try {
      return await box.exec(cmd, { ...ofCommand, ...(signal && { signal }) });
    } finally {
      await discardBox(box, signal);
    }
  } finally {
    cancelUnread(stdin);
  }
}
