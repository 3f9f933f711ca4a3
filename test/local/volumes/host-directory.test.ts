import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openHostDirectory } from "../../../src/local/volumes/host-directory-node.js";

let folder: string;
let outside: string;
const at = (name: string) => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "boxrun-volume-"));
  outside = mkdtempSync(join(tmpdir(), "boxrun-outside-"));
});
afterEach(() => {
  for (const path of [folder, outside]) rmSync(path, { recursive: true });
});

describe("a directory of the host", () => {
  const open = (hostPath: string, within?: string[]) =>
    openHostDirectory({ hostPath, readonly: false, ...(within && { within }) }).root.close();

  it.each([
    ["relative/path", /is not absolute/],
    ["/no/such/directory", /"\/no\/such\/directory" does not exist/],
    ["/etc/passwd", /is not one/],
  ])("is refused when it is %s", (path, message) => {
    expect(() => open(path)).toThrow(message);
    expect(() => open(path)).toThrow(expect.objectContaining({ code: "VALIDATION_ERROR" }));
  });

  it.each(["größe", "日本"])("may have a name that is not ASCII: %s", (name) => {
    mkdirSync(at(name));
    open(at(name));
    open(at(name), [at(name)]);
  });

  it("has to be within those that are allowed, after all links", () => {
    mkdirSync(at("allowed/inner"), { recursive: true });
    mkdirSync(at("allowed-not"));
    symlinkSync(outside, at("allowed/link"));
    const allowed = [at("allowed")];
    open(at("allowed"), allowed);
    open(at("allowed/inner"), allowed);
    open(at("allowed/inner/.."), allowed);
    for (const path of ["allowed-not", "allowed/link", "allowed/.."])
      expect(() => open(at(path), allowed)).toThrow(/in none of the directories that boxes may have/);
    expect(() => open(at("allowed"), [])).toThrow(/in none of the directories/);
    for (const path of ["allowed-not", "allowed/none"])
      expect(() => open(at(path), allowed)).toThrow(/machine that runs the box, not of its client/);
    expect(() => open(at("allowed-not"), allowed)).toThrow("--allow-volumes DIR");
    symlinkSync(at("allowed"), at("other-name"));
    open(at("other-name/inner"), allowed);
    open(at("allowed/inner"), [at("other-name")]);
  });
});
