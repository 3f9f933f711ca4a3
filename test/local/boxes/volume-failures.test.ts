import { describe, expect, it } from "vitest";
import { memoryVolume } from "../../../src/local/boxes/memory-volume.js";
import { ERRNO } from "../../../src/local/volumes/errno.js";
import type { VolumeAnswer, VolumeCall } from "../../../src/local/volumes/volume-calls.js";
import { failure } from "../../../src/testing/contract/tools.js";
import { bootFake, type FakeMachine, fakeBackend, SPEC } from "../fake-machine.js";

const bytes = (text: string) => new TextEncoder().encode(text);

/** A box with volumes at /data and /work, whose machine is the test; the guest finds every path in the volume of this number. */
async function boxWithVolumes(volume: number, answerOf: (call: VolumeCall) => VolumeAnswer | undefined) {
  let machine!: FakeMachine;
  const backend = fakeBackend((made) => {
    machine = made;
    made.onVolumeCall = (call) => (call.call === "foreign" ? undefined : answerOf(call));
    // A real Worker takes a moment.
    made.ending = () => new Promise((resolve) => setImmediate(resolve));
    void bootFake(made);
  });
  const paths = ["/data", "/work"];
  const specs = paths.map((guestPath) => ({ source: "memory" as const, guestPath }));
  const volumes = paths.map((guestPath) => ({ source: memoryVolume(), guestPath }));
  const { id } = await backend.createBox({ ...SPEC, volumes: specs }, { volumes });
  const inVolume = async (type: "put" | "file" | "watch") => {
    const { stream } = await machine.next(type);
    machine.send({ type: "volume", stream, path: bytes(`/${volume}/a`), second: bytes("") });
  };
  return { backend, id, machine, inVolume };
}

describe("a full volume", () => {
  const opened = { opened: { handle: 1, size: 0, mode: 0o644, inPlace: false } };

  it.each([
    [0, "ENOSPC", "no space left in the volume at /data (ENOSPC)"],
    [1, "ENOSPC", "no space left in the volume at /work (ENOSPC)"],
    [1, "EDQUOT", "the quota of the volume at /work is used up (EDQUOT)"],
  ] as const)("is named by its path, and not called the box's disk: %i, %s", async (volume, errno, why) => {
    const { backend, id, inVolume } = await boxWithVolumes(volume, ({ call }) =>
      call === "create" ? opened : call === "close" ? { entries: [] } : { errno: ERRNO[errno] },
    );
    const uploading = failure(backend.upload(id, "/a", new Blob(["x"]).stream(), {}));
    await inVolume("put");
    expect(await uploading).toMatchObject({
      code: "STORAGE_FULL",
      message: `upload to /a: ${why}`,
      cause: { code: errno },
    });
    const operation = { op: "mkdir", path: bytes("/a"), mode: 0o755, recursive: false } as const;
    const making = failure(backend.fileOperation(id, operation, {}));
    await inVolume("file");
    expect(await making).toMatchObject({ code: "STORAGE_FULL", message: `mkdir /a: ${why}` });
  });
});

describe("a watch of a volume", () => {
  const waiting = async () => {
    const box = await boxWithVolumes(0, ({ call }) => (call === "watch" ? { entries: [] } : undefined));
    const opening = box.backend.watchFiles(box.id, bytes("/data/a"), { recursive: false });
    await box.inVolume("watch");
    const next = failure((await opening)[Symbol.asyncIterator]().next());
    return { ...box, next };
  };

  it("ends with the removal of its box", async () => {
    const { backend, id, next } = await waiting();
    await backend.removeBox(id, { force: true });
    expect(await next).toMatchObject({ code: "BOX_NOT_FOUND", message: `box ${id} was removed` });
  });

  it("ends with the stop of its box", async () => {
    const { backend, id, machine, next } = await waiting();
    const asked = machine.next("shutdown");
    const stopping = backend.stopBox(id);
    await asked;
    machine.send({ type: "done", stream: 0, bytes: 0 });
    await stopping;
    expect(await next).toMatchObject({ code: "BOX_NOT_RUNNING", message: `box ${id} was stopped` });
  });
});
