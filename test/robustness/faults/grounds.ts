import { FAULT_KINDS } from "./plan.js";
import type { Ground } from "./run.js";
import { startFake, type Target } from "./servers.js";

/** Each run has a server of its own over a fake backend: three in five with this project's extensions, the others of the published API alone. */
export const FAKE_GROUND: Ground = {
  again: "--only faults",
  kinds: FAULT_KINDS,
  newTarget: (random) => startFake({ extensions: random.chance(0.6) }),
};

/** Real boxes, behind servers that are there already. That one of them is killed is not for the proxy to play. */
export function realGround(targets: readonly Target[]): Ground {
  return {
    again: "--only faults --real 1",
    kinds: FAULT_KINDS.filter((kind) => kind !== "restart"),
    newTarget: async (random) => random.pick(targets),
  };
}
