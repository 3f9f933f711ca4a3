/** What SDKs weigh in a page, in bytes: all of an entry, bundled, minified and compressed. The others are installed for it, in a folder of its own. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { bundle, ON_FIRST_USE } from "../../scripts/bundle-size.mjs";

const OTHERS = { e2b: "2.51.0", "@codesandbox/sdk": "2.4.2" };

export async function measureSizes() {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const others = mkdtempSync(join(tmpdir(), "boxrun-sizes-"));
  const bytes = async (...of) => gzipSync(await bundle(...of), { level: 9 }).byteLength;
  try {
    writeFileSync(join(others, "package.json"), JSON.stringify({ dependencies: OTHERS }));
    const quietly = ["--ignore-scripts", "--no-audit", "--no-fund"];
    execFileSync("npm", ["install", ...quietly], { cwd: others, stdio: ["ignore", "ignore", "inherit"] });
    return {
      "size.root_bytes": await bytes(root, "./src/index.ts", {
        without: ["remote/index", ...ON_FIRST_USE],
      }),
      "size.with_a_server_bytes": await bytes(root, "./src/index.ts", { without: ON_FIRST_USE }),
      "size.all_bytes": await bytes(root, "./src/index.ts"),
      "size.e2b_bytes": await bytes(others, "e2b"),
      "size.codesandbox_browser_bytes": await bytes(others, "@codesandbox/sdk/browser"),
    };
  } finally {
    rmSync(others, { recursive: true });
  }
}
