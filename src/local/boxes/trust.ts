import { describeErrno } from "../guest/errno.js";
import type { Guest } from "../guest/guest.js";
import { getFile, putFile, TransferFailed } from "../guest/guest-files.js";
import { operateInGuest } from "../guest/guest-operation.js";

/** Bundle of the authorities that programs trust, as Debian has it; a link of OpenSSL leads to it, too. */
const BUNDLE = "/etc/ssl/certs/ca-certificates.crt";
/** Where `update-ca-certificates` looks for more, so that it keeps ours when it makes the bundle again. */
const OWN = "/usr/local/share/ca-certificates/boxrun.crt";
const MAX_BUNDLE_BYTES = 4 * 2 ** 20;
const ENOENT = 2;

/** Variables that name the bundle for programs which would otherwise bring one of their own. */
export const TRUST_ENV: Readonly<Record<string, string>> = {
  SSL_CERT_FILE: BUNDLE,
  CURL_CA_BUNDLE: BUNDLE,
  REQUESTS_CA_BUNDLE: BUNDLE,
  PIP_CERT: BUNDLE,
  GIT_SSL_CAINFO: BUNDLE,
  AWS_CA_BUNDLE: BUNDLE,
  CARGO_HTTP_CAINFO: BUNDLE,
  NODE_EXTRA_CA_CERTS: OWN,
  DENO_CERT: OWN,
};

/**
 * Has the programs of a box trust an authority, in place of the one that this function brought before. Resolves to the reason why they will not: a box may have done anything to its
 * files, and has to start all the same.
 */
export async function trust(guest: Guest, pem: string): Promise<string | undefined> {
  try {
    const before = await read(guest, OWN);
    const bundle = (await read(guest, BUNDLE)).replace(before || pem, "");
    const apart = bundle === "" || bundle.endsWith("\n") ? "" : "\n";
    await write(guest, BUNDLE, bundle + apart + pem);
    await write(guest, OWN, pem);
    return undefined;
  } catch (error) {
    if (!(error instanceof TransferFailed)) throw error;
    return `programs do not trust the way of the secrets: ${describeErrno(error.failure.errno)}`;
  }
}

/** Reads a file as text of one byte a character. One that is not there is empty. */
async function read(guest: Guest, path: string): Promise<string> {
  try {
    const { stream } = await getFile(guest, path);
    let text = "";
    for await (const bytes of piecesOf(stream)) {
      text += latin1(bytes);
      if (text.length > MAX_BUNDLE_BYTES) return "";
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

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
