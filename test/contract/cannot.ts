/** Why cases cannot pass on some targets. The names are those of the cases, exactly. */

const PROGRESS = "the API does not tell how far the creation of a box is";
const ENDS_CLIENT = "a server's boxes are not its client's: they go on when it closes";

/** Over any server. */
export const OVER_HTTP: Readonly<Record<string, string>> = {
  "reports progress, in order, up to ready": PROGRESS,
  "fails a creation whose progress callback throws, and leaves no box": PROGRESS,
  "gives up a creation at once when it is aborted, and leaves no box": PROGRESS,
  "cancels what runs when the client closes": ENDS_CLIENT,
};

/** Over a server of the published API alone. */
export const OVER_PLAIN_HTTP: Readonly<Record<string, string>> = { ...OVER_HTTP };
