import { isDeepStrictEqual } from "node:util";
import type { BoxSpec, ExecInfo } from "../../../src/backend/backend.js";
import { isBoxRunError } from "../../../src/backend/errors.js";
import { toWireBox, toWireExec } from "../../../src/contract/wire.js";
import { decodeEntries, encodeEntry, HISTORY_LIMIT } from "../../../src/local/store/history.js";
import { describeDamaged, describeRecord, newRecord, parseRecord } from "../../../src/local/store/record.js";
import { refusal, rule, type Target } from "./target.js";

const BOX = "box_aaaaaaaaaaaa";
const SPEC: BoxSpec = {
  image: "tiny",
  name: "demo",
  cpu: 2,
  memoryMb: 256,
  diskSizeGb: 8,
  network: false,
  workdir: "/root",
  env: { A: "b", PATH: "/bin" },
  volumes: [{ hostPath: "/a", guestPath: "/b", readonly: true }],
};
const RECORDS: unknown[] = [
  newRecord(BOX, SPEC),
  {
    ...newRecord(BOX, { ...SPEC, name: null, env: null, volumes: null }),
    image: { name: "tiny", description: "tiny", base: "0".repeat(64) },
    made: true,
    startedAt: new Date(0).toISOString(),
    stoppedAt: new Date(1).toISOString(),
    error: { code: "RUNTIME_ERROR", message: "it stopped" },
  },
  { ...newRecord(BOX, SPEC), image: { name: "tiny", description: "tiny", baseSha256: "0".repeat(64) } },
  { ...newRecord(BOX, SPEC), version: 1, image: "tiny" },
];
const isMismatch = (error: unknown) => isBoxRunError(error) && error.code === "STATE_MISMATCH";
const EXTENDED = { extended: true };

const records: Target = {
  name: "records of boxes",
  run(mutator) {
    const { random } = mutator;
    const sound = random.chance(0.1);
    const record = random.pick(RECORDS);
    const stored = sound ? record : mutator.json(record);
    let damaged: unknown;
    const error = refusal(() => {
      const parsed = parseRecord(BOX, stored);
      rule(parsed.id === BOX, "it is the record of another box");
      JSON.stringify(toWireBox(describeRecord(parsed, random.chance(0.5), true), EXTENDED));
      rule(
        isDeepStrictEqual(parseRecord(BOX, JSON.parse(JSON.stringify(parsed))), parsed),
        "it is written in another way",
      );
    }, isMismatch);
    if (isBoxRunError(error)) damaged = toWireBox(describeDamaged(BOX, error), EXTENDED);
    rule(!sound || damaged === undefined, "a sound record is refused");
    return { accepted: damaged === undefined };
  },
};

function infoOf(id: string): ExecInfo {
  return {
    id,
    boxId: BOX,
    status: "completed",
    cmd: ["echo", "a"],
    env: { A: "b" },
    workdir: "/",
    timeoutMs: 1000,
    exitCode: 0,
    errorMessage: null,
    createdAt: new Date(0),
    finishedAt: new Date(1),
  };
}

const HISTORY = ["exec_1", "exec_2", "exec_3"].map((id, i) =>
  encodeEntry(infoOf(id), [{ type: "log", stream: "stdout", bytes: new Uint8Array(i).fill(9), seq: 1 }], 2),
);

const history: Target = {
  name: "histories of boxes",
  run(mutator) {
    const { random } = mutator;
    const sound = random.chance(0.1);
    const entries = sound
      ? HISTORY
      : HISTORY.map((entry) => (random.chance(0.6) ? mutator.json(entry) : entry));
    // A store gives what it has, whatever that is.
    const stored = sound ? entries : mutator.random.chance(0.1) ? mutator.json(entries) : entries;
    const found = decodeEntries(BOX, Array.isArray(stored) ? stored : [stored]);
    rule(found.length <= HISTORY_LIMIT, "it remembers more than it should");
    for (const { info, events } of found) {
      rule(info.boxId === BOX, "it is of another box");
      JSON.stringify(toWireExec(info, EXTENDED));
      rule(events.at(-1)?.type === "exit", "it has no end");
    }
    rule(!sound || found.length === HISTORY.length, "sound entries are not found");
    return { accepted: found.length === HISTORY.length };
  },
};

export const STATE_TARGETS: readonly Target[] = [records, history];
