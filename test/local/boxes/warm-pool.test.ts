import { afterEach, expect, it, vi } from "vitest";
import { memoryStore } from "../../../src/local/store/store-memory.js";
import { bootFake, type FakeMachine, fakeBackend, SPEC } from "../fake-machine.js";

afterEach(() => vi.useRealTimers());

/** Plays a guest in which what was run ahead runs until it is killed. */
function bootBusy(machine: FakeMachine): void {
  void machine.next("terminate").then(({ stream }) => {
    machine.send({ type: "exit", stream, how: "signaled", value: 9 });
  });
  void bootFake(machine);
}

/** A backend that keeps so many machines of 256 MB ready, within so much memory. */
function keepReady({ memoryMb, count }: { memoryMb: number; count: number }) {
  const machines: FakeMachine[] = [];
  const backend = fakeBackend(
    (machine) => {
      machines.push(machine);
      bootBusy(machine);
    },
    memoryStore("a test"),
    { memoryMb, warm: [{ image: "fake", memoryMb: 256, count }] },
  );
  return { machines, backend };
}

it("machines that are kept ready take what boxes leave of the memory, give way to them, and follow when it is free", async () => {
  const { machines, backend } = keepReady({ memoryMb: 700, count: 3 });
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

it("what a machine runs ahead is killed before it becomes a box, and may print what it likes until then", async () => {
  let machine!: FakeMachine;
  const backend = fakeBackend(
    (made) => {
      machine ??= made;
      void bootFake(made);
    },
    memoryStore("a test"),
    { memoryMb: 256, warm: [{ image: "fake", memoryMb: 256, warmUp: ["sleep", "inf"] }] },
  );
  await vi.waitFor(() => expect(machine.frames.some(({ type }) => type === "exec")).toBe(true), 5000);
  const { stream } = machine.frames.find(({ type }) => type === "exec")!;
  machine.send({ type: "started", stream, pid: 7 });
  const credited = machine.next("credit");
  for (let sent = 0; sent < 2 ** 19; sent += 2 ** 14)
    machine.send({ type: "data", stream, channel: "stdout", data: new Uint8Array(2 ** 14) });
  await credited;
  const killed = machine.next("terminate");
  const creating = backend.createBox(SPEC, {});
  expect(await killed).toMatchObject({ stream, graceMs: 0 });
  expect(machine.frames.some(({ type }) => type === "setup")).toBe(false);
  machine.send({ type: "exit", stream, how: "signaled", value: 9 });
  const { id } = await creating;
  expect(await backend.listExecs(id)).toEqual([]);
  await backend.close();
});

it("a machine that cannot read its image becomes no box: another takes its place", async () => {
  const { machines, backend } = keepReady({ memoryMb: 256, count: 1 });
  const blind = await vi.waitFor(() => {
    expect(machines[0]?.frames.some(({ type }) => type === "exec")).toBe(true);
    return machines[0]!;
  }, 5000);
  blind.post({ type: "trouble", trouble: { offline: "there is no network", damaged: null } });
  await vi.waitFor(() => expect(machines[1]?.frames.some(({ type }) => type === "exec")).toBe(true), 5000);
  expect(blind.terminated).toBe(true);
  const box = await backend.createBox(SPEC, {});
  expect(box.local).toMatchObject({ boot: "warm", warnings: ["a test"] });
  await backend.close();
});

it("machines that could not be made are tried again, at longer and longer intervals", async () => {
  const tries: number[] = [];
  vi.useFakeTimers();
  const backend = fakeBackend(
    (machine) => {
      tries.push(Date.now());
      machine.failWorker(new Error("no memory"));
    },
    memoryStore("a test"),
    { warm: [{ image: "fake", memoryMb: 256 }] },
  );
  await vi.advanceTimersByTimeAsync(20_000);
  const intervals = tries.slice(1).map((time, i) => time - tries[i]!);
  expect(intervals).toEqual([1000, 2000, 4000, 8000]);
  await backend.close();
  await vi.advanceTimersByTimeAsync(200_000);
  expect(tries).toHaveLength(5);
});
