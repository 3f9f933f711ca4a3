import { afterEach, expect, it, vi } from "vitest";
import { BoxRunError } from "../../../src/backend/errors.js";
import { Guest } from "../../../src/local/guest/guest.js";
import { type GuestFrame, type HostFrame, STAGES } from "../../../src/local/protocol/frame-types.js";
import { encodeFrame, FrameReader } from "../../../src/local/protocol/frames.js";

const ENODEV = 19;
const SPEC = { address: 0x0a00020f, prefix: 24, gateway: 0x0a000202, dns: 0x0a000203, mtu: 32_000 };
const DONE: GuestFrame = { type: "done", stream: 0, bytes: 0 };

afterEach(() => vi.useRealTimers());

/** A guest that the test plays. */
function playedGuest() {
  const reader = new FrameReader("host");
  const asked: HostFrame[] = [];
  const guest = new Guest((bytes) => void asked.push(...reader.push(bytes)));
  return { guest, asked, answer: (frame: GuestFrame) => guest.receive(encodeFrame(frame)) };
}

it("a guest that cannot raise its network says at which step, and goes on", async () => {
  const { guest, asked, answer } = playedGuest();
  const raised = guest.network(SPEC);
  expect(asked).toEqual([{ type: "network", stream: 0, ...SPEC }]);
  answer({ type: "fail", stream: 0, stage: STAGES.setup, errno: ENODEV, detail: "card" });
  await expect(raised).rejects.toMatchObject({
    code: "RUNTIME_ERROR",
    message: expect.stringMatching(/^the guest cannot raise its network: card: /),
  });
  const again = guest.network(SPEC);
  answer(DONE);
  await again;
});

it("a network and a shutdown that are asked for together get their own answers", async () => {
  const { guest, answer } = playedGuest();
  const raised = guest.network(SPEC);
  const down = guest.shutdown(0);
  answer({ type: "fail", stream: 0, stage: STAGES.setup, errno: ENODEV, detail: "card" });
  answer({ type: "fail", stream: 0, stage: STAGES.write, errno: 5, detail: "remount disk" });
  await expect(raised).rejects.toThrow(/network: card/);
  await expect(down).rejects.toThrow(/remount disk/);
  expect(() => answer(DONE)).toThrow(/unexpected done/);
});

it("a network that a guest does not answer about is given up, and its answer may come later", async () => {
  const { guest, answer } = playedGuest();
  vi.useFakeTimers();
  const given = expect(guest.network(SPEC)).rejects.toThrow(/did not raise its network within 30000 ms/);
  await vi.advanceTimersByTimeAsync(30_000);
  await given;
  answer(DONE);
});

it("a guest that is gone, before or while its network is asked for, says so", async () => {
  const { guest } = playedGuest();
  const gone = new BoxRunError("BOX_NOT_RUNNING", "gone");
  const pending = guest.network(SPEC);
  guest.lose(gone);
  await expect(pending).rejects.toBe(gone);
  await expect(guest.network(SPEC)).rejects.toBe(gone);
});
