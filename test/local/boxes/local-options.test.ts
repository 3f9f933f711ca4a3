import { describe, expect, it } from "vitest";
import { LocalBackend } from "../../../src/local/boxes/local-backend.js";
import { nodeHost } from "../../../src/local/host/host-node.js";

describe("the options of a local backend", () => {
  it.each([
    ["an unknown option", { staet: "/tmp" }],
    ["an unknown durability", { durability: "strickt" }],
    ["a state that is no text", { state: 7 }],
  ])("are refused with VALIDATION_ERROR: %s", (_what, options) => {
    expect(() => new LocalBackend(nodeHost, options as never)).toThrow(
      expect.objectContaining({ code: "VALIDATION_ERROR" }),
    );
  });
});
