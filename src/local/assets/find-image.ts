import { BoxRunError } from "../../backend/errors.js";
import { closest } from "../../util/closest.js";
import { VERSION } from "../../util/version.js";
import type { AssetManifest, ImageManifest } from "./manifest.js";

/** Returns true when an image has this name, or stands in for it. */
export function hasName({ name, aliases, standsFor }: ImageManifest, asked: string): boolean {
  return name === asked || aliases.includes(asked) || standsFor.includes(asked);
}

/** Returns the command that installs the package of an image. */
export function installLine(name: string): string {
  return `npm i ${name}${VERSION === undefined ? "" : `@${VERSION}`}`;
}

/**
 * Finds an image by one of its names. `strict` refuses those that it only stands in for; `missing` are those that could be installed.
 *
 * @throws {BoxRunError} IMAGE_PULL_FAILED
 */
export function findImage(
  { images }: Pick<AssetManifest, "images">,
  asked: string,
  strict = false,
  missing: readonly ImageManifest[] = [],
): ImageManifest {
  const found = images.find(({ name, aliases }) => name === asked || aliases.includes(asked));
  if (found) return found;
  const standIn = images.find(({ standsFor }) => standsFor.includes(asked));
  if (standIn && !strict) return standIn;
  if (standIn) {
    throw new BoxRunError(
      "IMAGE_PULL_FAILED",
      `there is no local image ${JSON.stringify(asked)}, only a stand-in: ${standIn.description}`,
      { hint: `use ${JSON.stringify(standIn.name)}, or leave out local.strictImages` },
    );
  }
  const names = [...images, ...missing].flatMap(({ name, aliases, standsFor }) => [
    name,
    ...aliases,
    ...(strict ? [] : standsFor),
  ]);
  const meant = closest(asked, names);
  const main = images.map(({ name }) => name).join(" and ");
  const more = missing.map(
    ({ name, package: from = name }) => `, and ${name} could be installed (${installLine(from)})`,
  );
  throw new BoxRunError("IMAGE_PULL_FAILED", `there is no local image ${JSON.stringify(asked)}`, {
    hint: `${meant === undefined ? "" : `did you mean ${JSON.stringify(meant)}? `}the images are ${main}${more.join("")}; client.images() and npx boxrun images list their other names`,
  });
}
