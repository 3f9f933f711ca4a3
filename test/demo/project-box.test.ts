import type { BoxRunClient } from "boxrun";
import { memoryVolume } from "boxrun/local";
import { describe, expect, it, vi } from "vitest";
import { ProjectBox } from "../../demo/playground/project-box.js";
import type { ProjectRecord } from "../../demo/playground/project-store.js";
import { BoxRunError } from "../../src/backend/errors.js";
import { deferred } from "../../src/util/deferred.js";

/** A client with at most one box, whose start takes until `started` is resolved. Its handles know what was so when they were made, and what they did. */
function stub(network: true | string = true) {
  const started = deferred();
  const calls: unknown[] = [];
  let state: "none" | "running" | "stopped" = "none";
  const handle = () => {
    const info = { status: state };
    return {
      info,
      network: { update: async (rules: unknown) => void calls.push(["network", rules]) },
      ports: {
        watch: async function* ({ signal }: { signal: AbortSignal }) {
          yield [{ port: 8080 }];
          await new Promise((_resolve, reject) =>
            signal.addEventListener("abort", () => reject(signal.reason)),
          );
        },
      },
      stop: async () => {
        calls.push("stop");
        state = info.status = "stopped";
      },
      remove: async () => void calls.push("remove"),
    };
  };
  const client = {
    info: async () => ({ capabilities: { network } }),
    create: async (_image: string, { name, network: asked }: { name: string; network: unknown }) => {
      calls.push(["create", name, asked]);
      await started.promise;
      state = "running";
      return handle();
    },
    getBox: async () => {
      if (state === "none") throw new BoxRunError("BOX_NOT_FOUND", "none");
      return handle();
    },
  };
  const crash = () => {
    state = "stopped";
  };
  const record = { id: "p", image: "tiny", memoryMb: 256, network: false } as ProjectRecord;
  const on = { state: vi.fn(), progress: vi.fn(), ports: vi.fn(), error: vi.fn() };
  const project = new ProjectBox(client as unknown as BoxRunClient, record, memoryVolume(), on);
  return { started, calls, crash, record, on, project };
}

describe("the box of a project", () => {
  it("is made once, by the project's id, whoever asks for it meanwhile", async () => {
    const { project, started, calls, on } = stub();
    await project.find();
    expect(project.handle).toBeUndefined();
    const both = Promise.all([project.ready(), project.ready()]);
    expect([project.isStarting, project.running]).toEqual([true, undefined]);
    started.resolve();
    const [one, other] = await both;
    expect(one).toBe(other);
    expect(calls).toEqual([
      ["create", "p", { allow: [] }],
      ["network", { allow: [] }],
    ]);
    await vi.waitFor(() => expect(on.ports).toHaveBeenLastCalledWith([8080]));
    await project.stop();
    expect(on.ports).toHaveBeenLastCalledWith([]);
    expect(on.error).not.toHaveBeenCalled();
  });

  it("has the network that was switched while it started", async () => {
    const { project, started, calls, record } = stub();
    const ready = project.ready();
    await project.setNetwork(true);
    started.resolve();
    await ready;
    expect(calls.at(-1)).toEqual(["network", true]);
    await project.setNetwork(false);
    expect([calls.at(-1), record.network]).toEqual([["network", { allow: [] }], false]);
  });

  it("runs without a network where the page has none", async () => {
    const { project, started, calls } = stub("pages without https have no network");
    started.resolve();
    await project.ready();
    expect(calls).toEqual([["create", "p", false]]);
  });

  it("does not run on for a project that was closed while it started, and is asked for no more", async () => {
    const { project, started, calls } = stub();
    const ready = project.ready();
    const given = expect(ready).rejects.toMatchObject({ name: "AbortError" });
    const closed = project.close();
    started.resolve();
    await Promise.all([given, closed]);
    expect(calls.at(-1)).toBe("stop");
    await expect(project.ready()).rejects.toMatchObject({ name: "AbortError" });
  });

  it("is gone from the page when it has crashed, and is removed with its project", async () => {
    const { project, started, calls, crash, on } = stub();
    started.resolve();
    await project.ready();
    await vi.waitFor(() => expect(on.ports).toHaveBeenLastCalledWith([8080]));
    crash();
    await project.refresh();
    expect(project.running).toBeUndefined();
    expect(on.ports).toHaveBeenLastCalledWith([]);
    await project.remove();
    expect(calls.at(-1)).toBe("remove");
  });
});
