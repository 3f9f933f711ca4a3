import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import type { BoxSpec } from "../../src/backend/backend.js";
import { LocalBackend } from "../../src/local/boxes/local-backend.js";
import type { LocalOptions } from "../../src/local/boxes/options.js";
import type { Host } from "../../src/local/host/host.js";
import type { FromMachine, ToMachine } from "../../src/local/machine/messages.js";
import type { GuestFrame, HostFrame } from "../../src/local/protocol/frame-types.js";
import { encodeFrame, FrameReader } from "../../src/local/protocol/frames.js";
import type { BoxStore } from "../../src/local/store/box-store.js";
import { memoryStore } from "../../src/local/store/store-memory.js";
import type { VolumeAnswer, VolumeCall } from "../../src/local/volumes/volume-calls.js";

/** The box that tests with such a machine create. */
export const SPEC: BoxSpec = {
  image: "fake",
  name: null,
  cpu: 1,
  memoryMb: 256,
  diskSizeGb: 8,
  network: false,
  workdir: "/root",
  env: null,
  volumes: null,
};

/** The smallest module there is, in the place of the emulator. */
const EMPTY_WASM = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** What a test sees of the fake machine: it plays the Worker and the guest. */
export interface FakeMachine {
  /** The frames that came, oldest first. */
  readonly frames: HostFrame[];
  /** Resolves to the next frame of this type. */
  next(type: HostFrame["type"]): Promise<HostFrame>;
  send(...frames: GuestFrame[]): void;
  sendBytes(bytes: Uint8Array): void;
  post(message: FromMachine): void;
  failWorker(error: Error): void;
  /** It was asked to end, its guest being shut down; the fake does so at once. */
  stopped: boolean;
  /** Answers calls on volumes; undefined: never. */
  onVolumeCall: (call: VolumeCall) => VolumeAnswer | undefined;
  /** Resolves when its Worker, which was asked to end, has ended. */
  ending: () => Promise<void>;
  /** It keeps the process alive. */
  held: boolean;
  terminated: boolean;
}

/** A local backend whose machines are played by the test: for guests that no real guest would be. */
export function fakeBackend(
  onMachine: (machine: FakeMachine) => void,
  store: BoxStore = memoryStore("a test"),
  options: LocalOptions = {},
): LocalBackend {
  const packed = new Uint8Array(gzipSync(EMPTY_WASM));
  const file = {
    file: "thing.bin",
    bytes: packed.byteLength,
    rawBytes: EMPTY_WASM.byteLength,
    rawSha256: createHash("sha256").update(EMPTY_WASM).digest("hex"),
  };
  const manifest = {
    version: 4,
    files: { "v86.wasm": file },
    images: [
      {
        name: "fake",
        aliases: [],
        standsFor: [],
        description: "a fake",
        base: "base",
        baseBytes: 0,
        baseSha256: "0".repeat(64),
        baseDownloadBytes: 0,
        bootImages: [],
      },
    ],
  };
  const host: Host = {
    description: "a test",
    memoryMb: undefined,
    assetPlaces: () => ({ locations: ["memory:"], hint: "" }),
    openSource: () => ({
      location: "memory:",
      keeps: true,
      isHere: async () => true,
      readLatest: async () => new TextEncoder().encode(JSON.stringify(manifest)),
      read: async () => packed,
      gunzip: async (bytes) => new Uint8Array(gunzipSync(bytes)),
    }),
    openStore: async () => store,
    wayOut: { name: "direct", open: () => Promise.reject(new Error("a test")) },
    volumes: "a test",
    folders: "a test",
    startWorker: (onMessage, onFailure) => {
      const reader = new FrameReader("host");
      const frames: HostFrame[] = [];
      const waiting: { type: string; resolve: (frame: HostFrame) => void }[] = [];
      const machine: FakeMachine = {
        frames,
        stopped: false,
        onVolumeCall: () => undefined,
        ending: async () => {},
        held: false,
        terminated: false,
        next: (type) => new Promise((resolve) => waiting.push({ type, resolve })),
        send: (...sent) => onMessage(sent.map(encodeFrame)),
        sendBytes: (bytes) => onMessage([bytes]),
        post: onMessage,
        failWorker: onFailure,
      };
      const receive = (message: ToMachine) => {
        if (!(message instanceof Uint8Array)) {
          if (message.type === "start") queueMicrotask(() => onMachine(machine));
          if (message.type === "move") onMessage({ type: "moved" });
          if (message.type === "volumes") onMessage({ type: "volumes" });
          if (message.type === "volume-call") {
            const answer = machine.onVolumeCall(message.call);
            if (answer) onMessage({ type: "volume-answer", id: message.id, answer });
          }
          if (message.type === "stop") {
            machine.stopped = true;
            onMessage({ type: "stopped", contents: null });
          }
          return;
        }
        for (const frame of reader.push(message) as HostFrame[]) {
          frames.push(frame);
          const at = waiting.findIndex(({ type }) => type === frame.type);
          if (at >= 0) waiting.splice(at, 1)[0]!.resolve(frame);
        }
      };
      return {
        post: (message) => queueMicrotask(() => machine.terminated || receive(message)),
        terminate: async () => {
          machine.terminated = true;
          await machine.ending();
        },
        hold: (held) => {
          machine.held = held;
        },
      };
    },
  };
  return new LocalBackend(host, options);
}

/** Plays a guest up to a box that runs. */
export async function bootFake(machine: FakeMachine): Promise<void> {
  const setup = machine.next("setup");
  machine.post({ type: "starting" });
  machine.post({ type: "started", boot: "snapshot", warnings: [] });
  await setup;
  machine.send({ type: "ready", stream: 0, diskBytes: 1 });
}

/** A box that runs, in a backend of its own. */
export async function runningBox(store?: BoxStore) {
  let machine!: FakeMachine;
  const backend = fakeBackend((made) => {
    machine = made;
    void bootFake(made);
  }, store);
  const { id } = await backend.createBox(SPEC, {});
  return { backend, id, machine };
}
