import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { checkPrebuilt } from "../../wasm/build/fingerprint.mjs";
import { checkDebian } from "../../wasm/images/debian/build.mjs";
import { ROOT } from "../root.js";

const PREBUILT = join(ROOT, "wasm/prebuilt");
const LIMIT_BYTES = 6 * 2 ** 20;

it("has guest results that were built from the inputs that are here (else: npm run image)", async () => {
  const { stale, damaged, ok } = await checkPrebuilt();
  expect({ stale, damaged }).toEqual({ stale: [], damaged: [] });
  expect(ok.sort()).toEqual(["agent", "bios", "disk-1g", "disk-8g", "kernel", "tiny.erofs", "vgabios"]);
});

it("has the image debian that its locked packages give (else: npm run image -- debian)", () => {
  expect(checkDebian()).toBe("ok");
});

it("keeps the committed results small", () => {
  const total = readdirSync(PREBUILT).reduce((sum, name) => sum + statSync(join(PREBUILT, name)).size, 0);
  expect(total).toBeLessThan(LIMIT_BYTES);
});
