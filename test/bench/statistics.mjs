/** The value that half of the samples are below. */
export function median(samples) {
  return percentile(samples, 0.5);
}

/** The value that this share of the samples is below, interpolated. */
export function percentile(samples, share) {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  return below + (above - below) * (at - Math.floor(at));
}
