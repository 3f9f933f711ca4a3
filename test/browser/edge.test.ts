import { createLocalBackend } from "boxrun/local";
import { afterEach, describe, expect, it, vi } from "vitest";

describe("a runtime without Workers, as edge functions are", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("is told that it cannot run machines, and what to use instead", () => {
    vi.stubGlobal("Worker", undefined);
    expect(() => createLocalBackend()).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED", hint: expect.stringContaining("baseUrl") }),
    );
  });
});
