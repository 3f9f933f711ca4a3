/** Limits of a stream of events whose connection is made anew when it breaks off. */

/** Number of connections in a row without anything new after which the stream is given up. */
export const MAX_FAILURES = 6;
/** Time after which a connection counts as good even without events: an idle proxy closes it, and what is silent sends nothing. */
export const STABLE_MS = 5000;
