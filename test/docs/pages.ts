import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../root.js";

/** A block of TypeScript in a page for users. */
export interface Snippet {
  /** "docs/guide/files.md:12": the line of its first line of code. */
  place: string;
  code: string;
  /** False for a block that begins with "```ts no-run": it needs something that a test does not have. */
  runs: boolean;
}

/** Paths of the Markdown files below a folder of the repository, at any depth, relative to the repository. */
export function markdownBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md"))
    .map((path) => `${folder}/${path.replaceAll("\\", "/")}`)
    .sort();
}

/** Every block of TypeScript in the README, the guide and the reference. */
export function snippets(): Snippet[] {
  return ["README.md", ...markdownBelow("docs/guide"), ...markdownBelow("docs/reference")].flatMap((page) => {
    const text = readFileSync(join(ROOT, page), "utf8");
    const [missed] =
      text.match(/^[ \t]*```(?:typescript|tsx)\b.*$|^[ \t]+```ts\b.*$|^```ts\b(?!$| no-run$).*$/m) ?? [];
    if (missed !== undefined) throw new Error(`${page}: a block that no test reads: ${missed}`);
    return [...text.matchAll(/^```ts( no-run)?\n(.*?)^```$/gms)].map(([, noRun, code], i, all) => {
      const line = text.slice(0, all[i]!.index).split("\n").length + 1;
      return { place: `${page}:${line}`, code: code!, runs: noRun === undefined };
    });
  });
}
