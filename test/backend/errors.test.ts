import { describe, expect, it } from "vitest";
import { BoxRunError, isBoxRunError } from "../../src/backend/errors.js";
import { ExitError } from "../../src/exec/result.js";

const error = new BoxRunError("BOX_NOT_FOUND", "there is no box x", {
  status: 404,
  hint: "create one",
  method: "GET",
  path: "/v1/boxes/x",
});

describe("an error", () => {
  it("says what to do next in its message, too", () => {
    expect(error.message).toBe("there is no box x (create one)");
  });

  it.each([
    ["JSON", (value: unknown) => JSON.parse(JSON.stringify(value))],
    ["structuredClone", (value: BoxRunError) => structuredClone(value.toJSON())],
  ])("is known again after %s", (_name, copy) => {
    const copied = copy(error);
    expect(isBoxRunError(copied)).toBe(true);
    expect(copied).toMatchObject({
      code: "BOX_NOT_FOUND",
      status: 404,
      retryable: false,
      hint: "create one",
      method: "GET",
      path: "/v1/boxes/x",
      message: error.message,
    });
  });

  it("is told from what only looks like one", () => {
    for (const other of [
      null,
      undefined,
      "BOX_NOT_FOUND",
      new Error("x"),
      { code: "BOX_NOT_FOUND" },
      { name: "BoxRunError", code: "E" },
    ])
      expect(isBoxRunError(other)).toBe(false);
  });

  it("takes its result along", () => {
    const result = { exitCode: 3, stdout: "out" } as ExitError["result"];
    const copied = JSON.parse(JSON.stringify(new ExitError("COMMAND_FAILED", "it failed", result)));
    expect(isBoxRunError(copied)).toBe(true);
    expect(copied).toMatchObject({ name: "ExitError", code: "COMMAND_FAILED", result: { exitCode: 3 } });
  });
});
