import { expect, it } from "vitest";
import { Guest } from "../../../src/local/guest/guest.js";
import { type HostFrame, STAGES } from "../../../src/local/protocol/frame-types.js";
import { encodeFrame, FrameReader } from "../../../src/local/protocol/frames.js";

const EIO = 5;
const ENOTDIR = 20;
const SPEC = {
  hostname: "box",
  entropy: new Uint8Array(16),
  diskBytes: 0,
  memoryLimitBytes: 0,
  processLimit: 0,
  workdir: "/work/src",
  volumes: [
    { path: "/work", readonly: false },
    { path: "/work/cache", readonly: true },
  ],
};

/** A guest that is being set up, and its answer that it failed. */
function failedSetup(errno: number, detail: string) {
  const reader = new FrameReader("host");
  const asked: HostFrame[] = [];
  const guest = new Guest((bytes) => void asked.push(...reader.push(bytes)));
  void guest.setup(SPEC);
  const answer = () =>
    guest.receive(encodeFrame({ type: "fail", stream: 0, stage: STAGES.setup, errno, detail }));
  return { asked, answer };
}

it("volumes are told in their order", () => {
  const { asked } = failedSetup(0, "");
  expect(asked).toEqual([{ type: "setup", stream: 0, clock: expect.anything(), ...SPEC }]);
});

it("a path that cannot be a volume's is the caller's mistake, and named", () => {
  expect(failedSetup(ENOTDIR, "volume /etc/passwd").answer).toThrow(
    expect.objectContaining({
      code: "VALIDATION_ERROR",
      message: "cannot mount a volume at /etc/passwd: not a directory (ENOTDIR)",
    }),
  );
});

it.each([
  ["volume /work", "the guest cannot set up the box: volume /work: input/output error (EIO)"],
  ["volumes", "the guest cannot set up the box: volumes: input/output error (EIO)"],
])("a failure of %s that is not its path's ends the machine", (detail, message) => {
  expect(failedSetup(EIO, detail).answer).toThrow(
    expect.objectContaining({ code: "RUNTIME_ERROR", message }),
  );
});
