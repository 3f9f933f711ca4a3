import { describe, expect, it } from "vitest";
import { VolumePaths } from "../../../src/local/boxes/volume-paths.js";
import { PathInVolume } from "../../../src/local/guest/path-in-volume.js";
import type { MachineHandle } from "../../../src/local/host/machine-handle.js";
import type { VolumeAnswer, VolumeCall } from "../../../src/local/volumes/volume-calls.js";
import { deferred } from "../../../src/util/deferred.js";

const where = new PathInVolume(new TextEncoder().encode("/0/file"));

/** Volumes of a machine whose Worker answers as told, and the calls that it gets. */
function volumesThat(answer: (call: VolumeCall) => VolumeAnswer): { paths: VolumePaths; calls: string[] } {
  const calls: string[] = [];
  const machine = {
    callVolume: async (call: VolumeCall) => {
      calls.push(call.call);
      return answer(call);
    },
  };
  const mount = { guestPath: "/srv", readonly: false, hostPath: "/tmp" };
  return { paths: new VolumePaths(machine as unknown as MachineHandle, [mount] as never), calls };
}

describe("an upload into a volume", () => {
  it("ends with its signal, though its source is silent, and leaves nothing open", async () => {
    const opened = { handle: 1, size: 0, mode: 0o644, inPlace: false };
    const { paths, calls } = volumesThat(({ call }) => (call === "create" ? { opened } : { entries: [] }));
    let canceled: unknown;
    const reading = deferred();
    const silent = new ReadableStream<Uint8Array>(
      {
        pull: () => reading.resolve(),
        cancel(reason) {
          canceled = reason;
        },
      },
      // So that it is pulled by a reader alone.
      { highWaterMark: 0 },
    );
    const controller = new AbortController();
    const uploaded = paths.upload(where, silent, { signal: controller.signal } as never);
    await reading.promise;
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(uploaded).rejects.toBe(reason);
    expect(canceled).toBe(reason);
    expect(calls).toEqual(["create", "close"]);
  });
});
