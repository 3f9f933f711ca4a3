import { afterEach, expect, it, vi } from "vitest";
import { memoryStore } from "../../src/local/state/store-memory.js";
import { bootFake, type FakeMachine, fakeBackend, SPEC } from "./fake-machine.js";

afterEach(() => vi.useRealTimers());

it("machines that are kept ready take what boxes leave of the memory, give way to them, and follow when it is free", async () => {
  const machines: FakeMachine[] = [];
  const backend = fakeBackend(
    (machine) => {
      machines.push(machine);
      void bootFake(machine);
    },
    memoryStore("a test"),
    { memoryMb: 700, warm: [{ image: "fake", memoryMb: 256, count: 3 }] },
  );
  const alive = () => machines.filter(({ terminated }) => !terminated).length;
  const atRest = async (count: number) => {
    await vi.waitFor(() => expect(alive()).toBe(count), 5000);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    // Longer than the pool waits.
    await vi.advanceTimersByTimeAsync(10_000);
    vi.useRealTimers();
    expect(alive()).toBe(count);
  };
  await atRest(2);
  const first = await backend.createBox(SPEC, {});
  expect(first.local?.boot).toBe("warm");
  await atRest(2);
  const second = await backend.createBox({ ...SPEC, memoryMb: 400 }, {});
  expect(second.local?.boot).toBe("snapshot");
  await atRest(2);
  await expect(backend.createBox(SPEC, {})).rejects.toMatchObject({ code: "RESOURCE_EXCEEDED" });
  await backend.removeBox(second.id, { force: true });
  await atRest(2);
  expect((await backend.createBox(SPEC, {})).local?.boot).toBe("warm");
  await backend.close();
  await atRest(0);
});
