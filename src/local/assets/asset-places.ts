import { VERSION } from "../../util/version.js";

/** Places of assets, in the order in which they are asked. */
export interface AssetPlaces {
  /** URLs that end in "/". */
  readonly locations: readonly string[];
  /** Advice for when none of them has the assets. */
  readonly hint: string;
  /** Returns the URL of a published package's folder, of exactly this version, ending in "/". Absent where packages are not published beside the assets. */
  readonly packageUrl?: (name: string) => string;
}

/** Advice for assets that are missing or wrong where a page looks for them. */
export const COPY_HINT =
  "run npx boxrun assets public/boxrun --image NAME and serve that folder at boxrun/ below the page's address or at /boxrun/, or set local.assets to its URL";

/** Value of `local.assets` for the assets of exactly this version on a public CDN. */
const CDN = "cdn";

/** Returns the place that `local.assets` names, as a URL that `resolve` makes of anything but "cdn". */
export function givenPlace(given: string, resolve: (given: string) => string, hint: string): AssetPlaces {
  if (given === CDN) return { locations: [`${onCdn("boxrun")}dist/assets/`], hint, packageUrl: onCdn };
  const url = resolve(given);
  return { locations: [url.endsWith("/") ? url : `${url}/`], hint };
}

const onCdn = (name: string) => `https://cdn.jsdelivr.net/npm/${name}@${VERSION}/`;

/**
 * Returns the places where a page may have the assets: beside the package's own modules, in `boxrun/` below the page's address, and in `/boxrun/`, for pages that are not at the root of their
 * application.
 *
 * @param moduleUrl URL of this code's module; of the bundle, where there is one
 * @param baseUrl URL of the page
 */
export function pagePlaces(moduleUrl: string | undefined, baseUrl: string): AssetPlaces {
  const below = new URL("boxrun/", baseUrl).href;
  const beside = besideModule(moduleUrl, baseUrl);
  const places = beside === undefined ? [below] : [below, beside];
  // Modules in the folder "browser" are those of the package. A bundle is elsewhere, and has nothing beside it: asking there first would make the browser print an error.
  if (/\/browser\/[^/]+$/.test(moduleUrl ?? "")) places.reverse();
  const root = new URL("/boxrun/", baseUrl).href;
  return { locations: [...new Set([...places, root])], hint: COPY_HINT };
}

function besideModule(moduleUrl: string | undefined, baseUrl: string): string | undefined {
  // A bundle may have no URL, one of the machine that made it (file:), or one below which nothing is (blob:).
  const isServed = moduleUrl !== undefined && /^https?:/.test(moduleUrl);
  return isServed ? new URL("../assets/", new URL(moduleUrl, baseUrl)).href : undefined;
}
