import { expect, it } from "vitest";
import { textOf } from "../../src/backend/text.js";

it("text keeps its byte order mark, and is refused when no string can hold it", () => {
  expect(textOf(Uint8Array.of(0xef, 0xbb, 0xbf, 0xc3, 0xa4))).toBe("\uFEFFä");
  const tooLong = new Uint8Array(2 ** 29 + 100);
  expect(() => textOf(tooLong)).toThrow(
    expect.objectContaining({
      code: "RESOURCE_EXCEEDED",
      message: expect.stringContaining("536871012 bytes"),
    }),
  );
});
