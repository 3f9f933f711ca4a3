import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROUTES, type Route } from "../../src/contract/routes.js";
import { ROOT } from "../root.js";

it("docs/reference/http-api.md lists the routes that there are, and marks the ones that only we have", () => {
  const text = readFileSync(join(ROOT, "docs/reference/http-api.md"), "utf8");
  const rows = [...text.matchAll(/^\| (GET|POST|PUT|DELETE) (\/v1[^|?\s]*)([^|]*)\|/gm)];
  const documented = rows.flatMap(([, method, path, rest]) => {
    // "/v1/boxes/{box}:stop, :start" is two.
    const [first, ...others] = `${path}${rest!.replace(/[*?].*/, "")}`.split(",").map((part) => part.trim());
    const paths = [first!, ...others.map((action) => first!.replace(/:[a-z]+$/, action))];
    return paths.map((one) => `${method} ${one}${rest!.includes("*") ? " *" : ""}`);
  });
  const routes: Route[] = Object.values(ROUTES);
  const known = routes.map(({ method, path, extension }) => `${method} ${path}${extension ? " *" : ""}`);
  expect(documented.sort()).toEqual(known.sort());
});
