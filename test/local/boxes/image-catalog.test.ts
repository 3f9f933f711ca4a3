import { expect, it } from "vitest";
import type { BoxSpec } from "../../../src/backend/backend.js";
import type { Assets } from "../../../src/local/assets/assets.js";
import type { ImageManifest } from "../../../src/local/assets/manifest.js";
import { ImageCatalog } from "../../../src/local/boxes/image-catalog.js";
import type { Host } from "../../../src/local/host/host.js";
import { newRecord, parseRecord } from "../../../src/local/store/record.js";
import { SPEC } from "../fake-machine.js";

const TINY = "8932564797a6dcb5ea62d60cc4f8a3191c084317831da8143d2ff1ab65197bf4";
/** What records said of the same image at first: the SHA-256 of its packed list of chunks. */
const TINY_LIST = "4f501e23d650cbbd071604c4da5d8fbe475c1323fcced8317cfca176559d3018";
const ID = "box_aaaaaaaaaaaa";
const spec: BoxSpec = { ...SPEC, image: "tiny" };

/** The image that a box with this in its record is started on, where images are of these contents. */
function imageOf(image: object | null, baseSha256 = TINY): string {
  const catalog = new ImageCatalog({ assetsLocation: () => "memory:" } as unknown as Host, {});
  const found = { name: "tiny", aliases: [], standsFor: [], baseSha256 } as unknown as ImageManifest;
  const assets = { manifest: { images: [found] } } as unknown as Assets;
  const stored: unknown = JSON.parse(JSON.stringify({ ...newRecord(ID, spec), image }));
  return catalog.imageOf(assets, parseRecord(ID, stored)).name;
}

const made = { name: "tiny", description: "tiny" };

it("a box goes with the image that it was made of, however its record names the contents", () => {
  expect(imageOf({ ...made, baseSha256: TINY })).toBe("tiny");
  expect(imageOf({ ...made, base: TINY_LIST })).toBe("tiny");
  expect(imageOf({ ...made, base: null })).toBe("tiny");
  expect(imageOf(null)).toBe("tiny");
});

it.each([
  [false, "the local images are: tiny, tiny:1, for alpine, busybox"],
  [true, "the local images are: tiny, tiny:1"],
])(
  "a name that is no image is told which there are, and what they stand in for (strict: %s)",
  (strict, hint) => {
    const host = { assetsLocation: () => "memory:" } as unknown as Host;
    const catalog = new ImageCatalog(host, { strictImages: strict });
    const tiny = { name: "tiny", aliases: ["tiny:1"], standsFor: ["alpine", "busybox"] };
    const assets = { manifest: { images: [tiny] } } as unknown as Assets;
    expect(() => catalog.find(assets, "fedora")).toThrowError(
      expect.objectContaining({ code: "IMAGE_PULL_FAILED", hint }),
    );
  },
);

it.each([
  ["another image", { baseSha256: TINY }, "0".repeat(64)],
  ["another image, by its list of chunks", { base: TINY_LIST }, "0".repeat(64)],
  ["a list of chunks that nobody knows", { base: "f".repeat(64) }, TINY],
])("a box made of %s is refused", (_what, base, here) => {
  expect(() => imageOf({ ...made, ...base }, here)).toThrowError(
    expect.objectContaining({ code: "STATE_MISMATCH", message: expect.stringContaining("another build") }),
  );
});
