import { openChromium } from "./chromium.mjs";
import { LANGUAGES } from "./languages.mjs";
import { openNative } from "./native-place.mjs";
import { openNode } from "./node-place.mjs";
import { openOtherBuild } from "./other-build.mjs";
import { median } from "./statistics.mjs";

/**
 * Every row of languages.mjs in every place, in turns, so that a busy machine slows all of them down.
 * @param {object} options
 * @param {URL} options.root
 * @param {string | undefined} options.before another checkout, which has been built
 * @param {number} options.runs
 * @param {(text: string) => void} options.log
 */
export async function measureLanguages({ root, before, runs, log }) {
  const other = before === undefined ? undefined : openOtherBuild(before);
  const places = {};
  try {
    if (other) places.node_before = openNode(other.root);
    places.node = openNode(root);
    if (other) places.chromium_before = await openChromium(other.root);
    const chromium = await openChromium(root);
    places.chromium = chromium;
    const native = openNative(["tiny", "debian"]);
    if (native) places.native = native;
    else log("no native column: that takes root, erofs-utils, and a machine that runs i386 programs");

    const columns = Object.fromEntries(Object.keys(places).map((name) => [name, {}]));
    for (const key of Object.keys(LANGUAGES)) {
      const samples = Object.fromEntries(Object.keys(places).map((name) => [name, []]));
      for (let run = 0; run < runs; run++) {
        const order = Object.entries(places);
        for (const [name, place] of run % 2 === 0 ? order : order.reverse())
          samples[name].push(await place.measure("language", key));
      }
      for (const [name, all] of Object.entries(samples)) Object.assign(columns[name], figuresOf(key, all));
      log(`  ${key}: ${runs} runs`);
    }
    return { chromium: chromium.version, columns };
  } finally {
    for (const place of Object.values(places)) await place.close();
    await other?.close();
  }
}

/** None where the program is not in the image. */
function figuresOf(key, samples) {
  if (samples.some(({ missing }) => missing)) return {};
  const rounded = (times) => Number(median(times).toPrecision(4));
  const times = rounded(samples.flatMap((one) => one.times));
  if (LANGUAGES[key].kind !== "start") return { [`${key}_ms`]: times };
  return { [`${key}_first_ms`]: rounded(samples.map(({ first }) => first)), [`${key}_ms_p50`]: times };
}
