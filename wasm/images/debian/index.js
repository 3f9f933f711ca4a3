const { url } = import.meta;

/** The image `debian`, for `local.images` of a BoxRun client. A variable, because bundlers copy what a literal `new URL(…, import.meta.url)` names. */
const image = { name: "debian", assets: new URL("assets/", url).href };
export default image;
