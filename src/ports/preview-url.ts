import { invalid } from "../backend/errors.js";

/** Names of this machine, which browsers trust without https. */
const LOOPBACK = /^(?:localhost|.*\.localhost|127\.0\.0\.1|\[::1\])$/;

/**
 * Returns the address of the origin of a preview, which ends in a slash.
 *
 * @param place `local.previewUrl`; a "*" in it becomes a random name
 * @throws {BoxRunError} VALIDATION_ERROR
 */
export function previewHome(place: string): string {
  const name = crypto.randomUUID().replaceAll("-", "");
  let url: URL;
  try {
    url = new URL(place.replace("*", name));
  } catch {
    throw invalid(`local.previewUrl must be a URL such as "https://preview.example.com/", got "${place}"`);
  }
  const { protocol, hostname, origin, href } = url;
  if (href !== `${origin}/`)
    throw invalid(`local.previewUrl must be an origin, since pages use paths from its root, got "${place}"`);
  const isSecure = protocol === "https:" || (protocol === "http:" && LOOPBACK.test(hostname));
  if (!isSecure)
    throw invalid(`local.previewUrl must begin with https://, or be on this machine, got "${place}"`);
  return href;
}
