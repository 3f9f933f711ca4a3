/**
 * What tests ask of a process or a page that owns boxes: plain data in and out. `say` is called with `{ box, line }` for each line that a box prints in `write`, and with `{ box, phase }`
 * while one is made or started.
 */
export function boxCalls(client, say) {
  const onProgress =
    (box) =>
    ({ phase }) =>
      say({ box, phase });
  return {
    create: async (name, options = {}) =>
      (await client.create("tiny", { name, memoryMb: 256, ...options, onProgress: onProgress(name) })).id,
    start: async (name) => (await client.getBox(name)).start({ onProgress: onProgress(name) }),
    stop: async (name) => (await client.getBox(name)).stop(),
    remove: async (name) => (await client.getBox(name)).remove({ force: true }),
    info: async (name) => (await client.getBox(name)).info,
    list: async () => client.listBoxes(),
    exec: async (name, command) => (await (await client.getBox(name)).exec(command)).stdout,
    executions: async (name) =>
      (await (await client.getBox(name)).executions()).map(({ status, exitCode }) => ({ status, exitCode })),
    /** Ends with the command; without end, for one that has none. */
    write: async (name, command) => {
      const execution = await (await client.getBox(name)).execStream(command);
      let rest = "";
      for await (const event of execution) {
        if (event.type !== "log") continue;
        const lines = (rest + event.data).split("\n");
        rest = lines.pop();
        for (const line of lines) await say({ box: name, line });
      }
    },
    /** Writes records from `last` on to four files in turns, without end. As of the loads of test/robustness/crashes/guest.ts. */
    put: async (name, folder, last) => {
      const { files } = await client.getBox(name);
      for (let number = last + 1; ; number++) {
        const record = `${number} ${`${number}`.padStart(((number * 613) % 6000) + 1, "0")}\n`;
        await files.write(`${folder}/put${number % 4}`, record);
        await say({ box: name, line: `put ${number}` });
      }
    },
  };
}

/** The outcome of a call as data: an error's fields do not survive the way out of a page or a process. */
export async function outcomeOf(promise) {
  try {
    return { value: await promise };
  } catch (error) {
    return { error: { code: error.code, message: error.message, retryable: error.retryable } };
  }
}
