const { url } = import.meta;

/** The image `tiny`, for `local.images` of a BoxRun client. A variable, because bundlers copy what a literal `new URL(…, import.meta.url)` names. */
const image = { name: "tiny", assets: new URL("assets/", url).href };
export default image;
