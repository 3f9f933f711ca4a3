import { type BoxRunError, unsupported } from "../../backend/errors.js";
import { latin1 } from "../../util/byte-reader.js";
import { describeErrno } from "../guest/errno.js";
import type { Guest } from "../guest/guest.js";
import { getFile, putFile, TransferFailed } from "../guest/guest-files.js";
import { operateInGuest } from "../guest/guest-operation.js";
import { PathInVolume } from "../guest/path-in-volume.js";

/** Bundle of the authorities that programs trust, as Debian has it; a link of OpenSSL leads to it, too. */
const BUNDLE = "/etc/ssl/certs/ca-certificates.crt";
/** Where `update-ca-certificates` looks for more, so that it keeps ours when it makes the bundle again. */
const OWN = "/usr/local/share/ca-certificates/boxrun.crt";
const MAX_BUNDLE_BYTES = 4 * 2 ** 20;
const ENOENT = 2;
const FAILED = "the CA certificate of the box could not be installed";

/** Variables that name the bundle, for programs which would otherwise bring one of their own. */

const BUNDLE_VARIABLES = [
  ...["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO"],
  ...["AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO"],
];
/** Variables whose programs trust a file beside what they trust else. */
const OWN_VARIABLES = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/** Result of {@link trust}. */
export interface Trust {
  /** Variables that lead programs to the certificate which would not find it otherwise. */
  env: Readonly<Record<string, string>>;
  /** Whether the box has a list of authorities, which programs need to trust any. True when that is not known. */
  hasBundle: boolean;
  /** Message for the owner of the box. Undefined when all is well. */
  note?: string;
}

/**
 * Has the programs of a box trust a certificate authority, in place of the one that this function brought before. A box may have done anything to its files, and starts all the same: with a
 * note when the certificate could not be installed. `isAlone`: all TLS of the box ends here, so that its programs need no other authority. They are led to a file with this one, since reading
 * the others is most of the work of a handshake.
 */
export async function trust(guest: Guest, pem: string, isAlone: boolean): Promise<Trust> {
  try {
    const before = await read(guest, OWN);
    const bundle = await read(guest, BUNDLE);
    await write(guest, OWN, pem);
    const own = variables(OWN_VARIABLES, OWN);
    const env = { ...own, ...variables(BUNDLE_VARIABLES, isAlone ? OWN : BUNDLE) };
    if (!bundle && isAlone) return { env, hasBundle: false };
    // A bundle of ours alone would have programs trust nobody else.
    if (!bundle) return { env: own, hasBundle: false, note: `${FAILED}: there is no ${BUNDLE}` };
    const rest = bundle.replace(before || pem, "");
    await write(guest, BUNDLE, `${rest}${rest.endsWith("\n") ? "" : "\n"}${pem}`);
    return { env, hasBundle: true };
  } catch (error) {
    if (error instanceof TransferFailed)
      return { env: {}, hasBundle: true, note: `${FAILED}: ${describeErrno(error.failure.errno)}` };
    if (error instanceof TooLarge || error instanceof PathInVolume)
      return { env: {}, hasBundle: true, note: `${FAILED}: ${error.message}` };
    throw error;
  }
}

/** Creates the error for secrets in a new box whose programs could not use them. */
export function withoutAuthorities(image: string): BoxRunError {
  return unsupported(
    `secrets: the image ${image} has no list of certificate authorities (ca-certificates.crt), so its programs could not use them`,
    "use debian",
  );
}

const variables = (names: readonly string[], value: string) =>
  Object.fromEntries(names.map((name) => [name, value]));

class TooLarge extends Error {}

/** Reads a file as text of one character a byte. One that is not there is empty. */
async function read(guest: Guest, path: string): Promise<string> {
  try {
    const { stream } = await getFile(guest, path);
    let text = "";
    for await (const bytes of piecesOf(stream)) {
      text += latin1(bytes);
      if (text.length > MAX_BUNDLE_BYTES)
        throw new TooLarge(`${path} has more than ${MAX_BUNDLE_BYTES} bytes`);
    }
    return text;
  } catch (error) {
    if (error instanceof TransferFailed && error.failure.errno === ENOENT) return "";
    throw error;
  }
}

async function write(guest: Guest, path: string, text: string): Promise<void> {
  const folder = new TextEncoder().encode(path.slice(0, path.lastIndexOf("/")));
  await operateInGuest(guest, { op: "mkdir", path: folder, mode: 0o755, recursive: true }, undefined);
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  await putFile(guest, { path, body: new Blob([bytes]).stream(), newMode: 0o644 });
}

/** Yields what a stream has, and cancels it when the loop is left: not all browsers can iterate over one. */
async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}
