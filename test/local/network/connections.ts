import type { ByteConnection } from "../../../src/network/dialer.js";

/** Returns all text that comes by a connection until its end. */
export async function textOf({ readable }: ByteConnection): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of readable) text += decoder.decode(chunk, { stream: true });
  return text;
}

/** Sends text, and ends this side. */
export async function send({ writable }: ByteConnection, text: string): Promise<void> {
  const writer = writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
}

/** Returns the code of the error that a promise rejects with, or "no error". */
export function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "no error",
    (error) => error.code,
  );
}
