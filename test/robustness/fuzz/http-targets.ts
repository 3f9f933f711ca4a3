import { isDeepStrictEqual } from "node:util";
import { isBoxRunError } from "../../../src/backend/errors.js";
import { clientFrame, serverFrame } from "../../../src/contract/attach.js";
import {
  createRequest,
  createWithSecretsRequest,
  downloadRequest,
  execRequest,
  gcRequest,
  runRequest,
  signalRequest,
  startRequest,
} from "../../../src/contract/requests.js";
import { fileRequests, watchRequest } from "../../../src/contract/requests-files.js";
import { matchRoute, ROUTES, type RouteName, routePath } from "../../../src/contract/routes.js";
import { eventSchema, SseDecoder, type SseEvent } from "../../../src/contract/sse-decode.js";
import { EventEncoder, KEEP_ALIVE } from "../../../src/contract/sse-encode.js";
import type { BackendEvent } from "../../../src/contract/types.js";
import {
  wireBoxes,
  wireError,
  wireExec,
  wireImages,
  wireInfo,
  wireRunResult,
  wireUsage,
} from "../../../src/contract/wire.js";
import { wireFiles } from "../../../src/contract/wire-files.js";
import { changeSchema } from "../../../src/contract/wire-watch.js";
import { readJson } from "../../../src/remote/http/failures.js";
import { HttpError } from "../../../src/server/http-error.js";
import { readUpload } from "../../../src/server/multipart.js";
import { join, type Mutator } from "./mutate.js";
import { refusal, rule, type Target } from "./target.js";

const encoder = new TextEncoder();
const LINE = { method: "GET", path: "/v1/boxes", again: true };
const isProtocolError = (error: unknown) => isBoxRunError(error) && error.code === "PROTOCOL_ERROR";

function decodeSse(pieces: readonly Uint8Array[]): SseEvent[] {
  const decoder = new SseDecoder();
  return [...pieces.flatMap((piece) => decoder.push(piece)), ...decoder.end()];
}

/** What a server writes for a command. */
function eventsOf({ random }: Mutator): BackendEvent[] {
  const events: BackendEvent[] = [];
  const count = random.between(0, 5);
  for (let seq = 1; seq <= count; seq++) {
    const bytes = Uint8Array.from({ length: random.size(200) }, () =>
      random.pick([10, 13, 65, 0xc3, 0xbc, 0xff, 0xf0]),
    );
    events.push({ type: "log", stream: random.pick(["stdout", "stderr"] as const), bytes, seq });
  }
  return [...events, { type: "exit", exitCode: random.pick([0, 255, null]), seq: count + 1 }];
}

const SSE_OTHERS = [
  "data: x\r\rdata\r\n\n",
  "\ufeffevent: log\ndata:1\n\n",
  `${KEEP_ALIVE}id: 1\nretry: 9\n:\n`,
].map((text) => encoder.encode(text));

const sse: Target = {
  name: "server-sent events",
  run(mutator) {
    const { random } = mutator;
    const events = eventsOf(mutator);
    const writer = new EventEncoder({ bytes: true, after: 0 });
    const text = events
      .map((event) => `${random.chance(0.2) ? KEEP_ALIVE : ""}${writer.encode(event)}`)
      .join("");
    const ends = random.pick(["\n", "\n", "\r\n", "\r"]);
    const whole = encoder.encode(text.replaceAll("\n", ends));
    const sound = random.chance(0.2);
    const bytes = sound ? whole : mutator.mutate(whole, [whole, ...SSE_OTHERS]);
    const decoded = decodeSse([bytes]);
    const pieces = decodeSse(mutator.chunks(bytes));
    rule(
      isDeepStrictEqual(pieces, decoded),
      `whole ${JSON.stringify(decoded)}, in pieces ${JSON.stringify(pieces)}`,
    );
    const length = decoded.reduce((sum, { data, event }) => sum + data.length + event.length, 0);
    rule(length <= bytes.byteLength + decoded.length * "message".length, "more comes out than went in");
    const read = decoded.map(({ event, data }) => eventSchema(event)?.safeParse(data));
    if (sound)
      rule(
        isDeepStrictEqual(
          read.map((result) => result?.data),
          events.map((event) => (event.type === "exit" ? { ...event, error: null } : event)),
        ),
        "events did not come back",
      );
    return { accepted: read.every((result) => result?.success !== false), held: length };
  },
};

const BOUNDARY = "xyz-boundary";
const NAMES = ["dest", "file", "mode", "other", "__proto__"];
const MAX_UPLOAD = 4096;

function formOf({ random }: Mutator): { bytes: Uint8Array; file: Uint8Array; dest: string; mode: number } {
  const file = Uint8Array.from({ length: random.size(600) }, () =>
    random.pick([0, 13, 10, 45, 45, 120, 255]),
  );
  const dest = random.pick(["/a", "/größe", "/a b\\"]);
  const part = (name: string, value: Uint8Array, more = "") =>
    join([
      encoder.encode(`--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n`),
      value,
      encoder.encode("\r\n"),
    ]);
  const mode = part("mode", encoder.encode("640"), "\r\ncontent-type: text/plain; charset=utf-8");
  const fields = [
    part("dest", encoder.encode(dest)),
    part("file", file, `; filename="f"\r\nContent-Type: application/octet-stream`),
  ];
  if (random.chance(0.5)) fields.reverse();
  const end = encoder.encode(`--${BOUNDARY}--\r\n`);
  return { bytes: join([mode, ...fields, end]), file, dest, mode: 0o640 };
}

const FORM_OTHERS = [
  `\r\n--${BOUNDARY}`,
  `--${BOUNDARY}--`,
  `content-disposition: form-data; name="file"; filename*=UTF-8''%C3%A4%`,
  `; filename*=UTF-8''%zz`,
  ...NAMES.map((name) => `\r\n--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n`),
].map((text) => encoder.encode(text));

type Upload = { dest: string; mode: number | undefined; bytes: Uint8Array } | { refused: number };

async function upload(pieces: readonly Uint8Array[]): Promise<Upload> {
  const queue = [...pieces];
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const piece = queue.shift();
      if (piece) controller.enqueue(piece.slice());
      else controller.close();
    },
  });
  const init = {
    method: "POST",
    body,
    duplex: "half",
    headers: { "content-type": `multipart/form-data; boundary=${BOUNDARY}` },
  };
  try {
    const {
      dest,
      mode,
      body: file,
    } = await readUpload(new Request("http://box.test/", init as RequestInit), MAX_UPLOAD);
    const bytes: Uint8Array[] = [];
    for await (const chunk of file) bytes.push(chunk);
    return { dest, mode, bytes: join(bytes) };
  } catch (error) {
    if (error instanceof HttpError) return { refused: error.status ?? 0 };
    throw error;
  }
}

const multipart: Target = {
  name: "forms of uploads",
  async run(mutator) {
    const { random } = mutator;
    const { bytes: whole, file, dest, mode } = formOf(mutator);
    const sound = random.chance(0.2);
    const bytes = sound ? whole : mutator.mutate(whole, [whole, ...FORM_OTHERS]);
    const pieces = mutator.chunks(bytes).filter((piece) => piece.byteLength > 0);
    const cut = await upload(pieces);
    const single = await upload([bytes]);
    // Which of two things is wrong first depends on how much is there to see.
    const areRefused = "refused" in cut && "refused" in single;
    rule(
      areRefused || isDeepStrictEqual(cut, single),
      `whole ${JSON.stringify(single)}, in pieces ${JSON.stringify(cut)}`,
    );
    if (sound)
      rule(isDeepStrictEqual(single, { dest, mode, bytes: file }), "a sound form did not come through");
    if (!("refused" in single)) return { accepted: true, held: single.bytes.byteLength };
    rule([400, 413].includes(single.refused), `it is refused with ${single.refused}`);
    return { accepted: false };
  },
};

const ANSWERS: [schema: Parameters<typeof readJson>[0], value: unknown][] = [
  [wireInfo, { max_cpu: 1, max_memory_mb: 2000, server: "boxrun-ts/1", capabilities: ["bytes"] }],
  [
    wireBoxes,
    [
      {
        id: "box_a",
        name: "n",
        status: "running",
        image: "tiny",
        cpu: 1,
        memory_mb: 1,
        disk_size_gb: 1,
        network: false,
        workdir: "/",
        env: { A: "b" },
        volumes: [{ host_path: "/a", guest_path: "/b" }],
        boxlite_id: null,
        error_code: null,
        error_message: null,
        created_at: "2025-01-01T00:00:00Z",
        started_at: null,
        stopped_at: null,
        local: { image: "tiny", cpus: 1, persistent: true, boot: "cold", warnings: [] },
      },
    ],
  ],
  [
    wireExec,
    {
      id: "exec_a",
      box_id: "box_a",
      status: "running",
      cmd: ["a"],
      env: null,
      workdir: "/",
      timeout_ms: 1,
      exit_code: 0,
      error_message: null,
      created_at: "2025-01-01T00:00:00Z",
      finished_at: null,
      truncated: true,
    },
  ],
  [wireRunResult, { exit_code: 0, stdout: "a", stderr: "", error_message: null }],
  [wireImages, [{ name: "a", aliases: ["b"], description: "c", download_bytes: 1, total_bytes: 2 }]],
  [wireUsage, { disk_bytes: 1, disk_limit_bytes: 2, persistent: true }],
  [changeSchema("renamed")!, JSON.stringify({ path: "/a", path_b64: "L2E=", from: "/b" })],
  [wireError, { code: "BOX_NOT_FOUND", message: "no", errno: "ENOENT" }],
  [
    wireFiles,
    [
      {
        name: "a",
        name_b64: "YQ==",
        type: "file",
        size: 1,
        mode: 420,
        modified_at: "2025-01-01T00:00:00Z",
        uid: 0,
        gid: 0,
      },
    ],
  ],
];

const answers: Target = {
  name: "answers of a server",
  run(mutator) {
    const { random } = mutator;
    const [schema, value] = random.pick(ANSWERS);
    const sound = random.chance(0.1);
    const text = JSON.stringify(sound ? value : mutator.json(value));
    const bytes = sound || random.chance(0.7) ? encoder.encode(text) : mutator.mutate(encoder.encode(text));
    const error = refusal(
      () => JSON.stringify(readJson(schema, new TextDecoder().decode(bytes), LINE)),
      isProtocolError,
    );
    rule(!sound || !error, "a sound answer is refused");
    rule(({} as { polluted?: unknown }).polluted === undefined, "every object has another property now");
    return { accepted: !error };
  },
};

const FRAMES_OF_TERMINALS = [
  { type: "resize", cols: 1, rows: 1 },
  { type: "exit", code: 0 },
  { type: "error", code: "A", message: "b" },
  { type: "pause" },
];
const BOX_REQUEST = {
  image: "tiny",
  name: "a",
  cpu: 1,
  memory_mb: 256,
  disk_size_gb: 1,
  network: false,
  workdir: "/",
  env: { A: "b" },
  volumes: [],
};
const SECRETS = { KEY: { value: "v", hosts: ["api.example.com"] } };
const REQUESTS: [schema: { safeParse(value: unknown): { success: boolean } }, value: unknown][] = [
  [createRequest, BOX_REQUEST],
  [execRequest, { cmd: ["a"], env: { A: "b" }, workdir: "/", timeout_ms: 1, stdin: true }],
  [createWithSecretsRequest, { ...BOX_REQUEST, secrets: SECRETS }],
  [startRequest, { secrets: SECRETS }],
  [runRequest, { ...BOX_REQUEST, cmd: ["a"], timeout_ms: 1 }],
  [gcRequest, { older_than: 1 }],
  [signalRequest, { signal: "SIGINT" }],
  [downloadRequest, { path: "/a" }],
  [watchRequest, { path: "/a", path_b64: "L2E=", recursive: true }],
  ...Object.values(fileRequests).map(
    (schema) =>
      [schema, { path: "/a", path_b64: "L2E=", to: "/b", mode: 1, recursive: true }] as [
        typeof schema,
        unknown,
      ],
  ),
];

const requests: Target = {
  name: "requests of a client",
  run(mutator) {
    const { random } = mutator;
    if (random.chance(0.2)) {
      const frame = random.pick(FRAMES_OF_TERMINALS);
      const text = JSON.stringify(random.chance(0.5) ? mutator.json(frame) : frame);
      return { accepted: [clientFrame, serverFrame].some((schema) => schema.safeParse(text).data) };
    }
    if (random.chance(0.2)) {
      const name = random.pick(Object.keys(ROUTES)) as RouteName;
      const given = new TextDecoder().decode(mutator.mutate(encoder.encode("box_aaaaaaaaaaaa")));
      const path = routePath(name, { box: given, exec: "exec_1", port: "8000", preview: "preview_1" });
      const found = matchRoute(ROUTES[name].method, path);
      if (given !== "" && path.includes(encodeURIComponent(given)) && ROUTES[name].path.includes("{box}"))
        rule(
          found.type === "route" && found.name === name && found.params.box === given,
          `${path} is ${JSON.stringify(found)}`,
        );
      return {
        accepted:
          matchRoute("POST", new TextDecoder().decode(mutator.mutate(encoder.encode(path)))).type === "route",
      };
    }
    const [schema, value] = random.pick(REQUESTS);
    const sound = random.chance(0.1);
    const { success } = schema.safeParse(sound ? value : mutator.json(value));
    rule(!sound || success, "a sound request is refused");
    return { accepted: success };
  },
};

export const HTTP_TARGETS: readonly Target[] = [multipart, sse, answers, requests];
