/** Answers of a BoxRun server, as they come over the wire. */

export const INFO = {
  max_cpu: 8,
  max_memory_mb: 8192,
  server: "boxrun-ts/bench",
  capabilities: ["bytes", "cursor"],
};
export const BOX = {
  id: "box_000000000000",
  status: "running",
  image: "bench",
  cpu: 2,
  memory_mb: 1024,
  disk_size_gb: 8,
  network: false,
  workdir: "/root",
  created_at: "2026-01-01T00:00:00Z",
};
export const EXEC = {
  id: "exec_000000000000",
  box_id: BOX.id,
  status: "running",
  cmd: ["print"],
  created_at: "2026-01-01T00:00:00Z",
};

/** About what an agent sends at once. */
const EVENT_CHARS = 32_000;
/** About what a connection brings at once. */
const CHUNK_BYTES = 64 * 1024;
const LINE = "the quick brown fox jumps over the lazy dog\n";

/** The events of a command that prints so many bytes, or a word for 0, cut as a connection cuts them. */
export function* wireEvents(bytes) {
  const data = bytes === 0 ? "hello\n" : LINE.repeat(Math.ceil(EVENT_CHARS / LINE.length));
  const count = Math.ceil(bytes / data.length) || 1;
  let waiting = Buffer.alloc(0);
  for (let seq = 1; seq <= count; seq++) {
    const log = { stream: "stdout", data, seq };
    waiting = Buffer.concat([
      waiting,
      Buffer.from(`event: log\nid: ${seq}\ndata: ${JSON.stringify(log)}\n\n`),
    ]);
    for (; waiting.byteLength >= CHUNK_BYTES; waiting = waiting.subarray(CHUNK_BYTES))
      yield waiting.subarray(0, CHUNK_BYTES);
  }
  const exit = { stream: null, data: '{"exit_code": 0}', seq: count + 1 };
  yield Buffer.concat([
    waiting,
    Buffer.from(`event: exit\nid: ${exit.seq}\ndata: ${JSON.stringify(exit)}\n\n`),
  ]);
}
