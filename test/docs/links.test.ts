import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../root.js";
import { markdownBelow } from "./pages.js";

const PAGES = ["README.md", "CONTRIBUTING.md", ...markdownBelow("docs"), ...markdownBelow("wasm")];
const LINK = /\]\(<?([^)<>\s]+)>?(?: "[^"]*")?\)|^\[[^\]]+\]: (\S+)/gm;

/** A page without its code, in which nothing is a link or a heading. */
function proseOf(path: string): string {
  return readFileSync(path, "utf8").replace(/^(```+).*?^\1$/gms, "");
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(path: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of proseOf(path).matchAll(/^#{1,6} (.*)$/gm)) {
    const text = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").trim();
    const slug = text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, "")
      .replaceAll(" ", "-");
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

it.each(PAGES)("every relative link and anchor of %s leads somewhere", (page) => {
  // What stands in backquotes shows a link, if anything.
  const text = proseOf(join(ROOT, page)).replace(/`[^`\n]*`/g, (code) => (code.includes("](") ? "" : code));
  const targets = [...text.matchAll(LINK)].map(([, inline, reference]) => (inline ?? reference) as string);
  const dead = targets.filter((target) => {
    if (/^[a-z][a-z+.-]*:/i.test(target)) return false;
    const [path, anchor] = target.split("#") as [string, string?];
    const file = path === "" ? join(ROOT, page) : join(ROOT, dirname(page), decodeURIComponent(path));
    if (!existsSync(file)) return true;
    return anchor !== undefined && !(statSync(file).isFile() && anchorsOf(file).has(anchor));
  });
  expect(dead).toEqual([]);
});

it("the README and the guide link to every page for users", () => {
  const from = ["README.md", ...markdownBelow("docs/guide"), ...markdownBelow("docs/reference")];
  const linked = from.flatMap((page) =>
    [...proseOf(join(ROOT, page)).matchAll(LINK)].map(([, target]) =>
      join(dirname(page), target?.split("#")[0] ?? ""),
    ),
  );
  const unlinked = from.filter((page) => page !== "README.md" && !linked.includes(page));
  expect(unlinked).toEqual([]);
});
