/** Headers on their way through a page's fetch. Source: the Fetch standard. */
import { CARRIES_CREDENTIALS, type Header, valuesOf } from "../http/requests.js";

/**
 * Headers that do not go on: those that pages cannot set, those of one connection, and those without which more servers answer. Most servers let pages send only some, and none of them expects
 * these from one.
 */
const DROPPED =
  /^(?:accept-charset|accept-encoding|access-control-request-.*|cache-control|connection|content-length|cookie2?|date|dnt|expect|host|keep-alive|npm-.*|origin|pacote-.*|permissions-policy|pragma|proxy-.*|referer|sec-.*|set-cookie|te|trailer|transfer-encoding|upgrade|user-agent|via)$/i;
/** Headers that any server lets pages send, as long as their values are plain. */
const SAFELISTED = /^(?:accept|accept-language|content-language)$/i;
const UNSAFE_VALUE = /["():<>?@[\\\]{}\x7f]/;
const MAX_SAFE_VALUE = 128;
/** If-None-Match and If-Modified-Since only save an answer: without them, it is the whole one. */
const CONDITION = /^(?:range|if-range|if-match|if-unmodified-since)$/i;
/** Headers of an answer that are about its way here, or about a body that the browser has decoded. */
const OF_THE_WAY =
  /^(?:alt-svc|connection|content-encoding|content-length|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Returns the headers of a program's request that a page can send. */
export function sendable(headers: readonly Header[]): Header[] {
  const ofConnection = valuesOf(headers, "connection")
    .flatMap((value) => value.split(","))
    .map((name) => name.trim().toLowerCase());
  return headers.filter(({ name }) => !DROPPED.test(name) && !ofConnection.includes(name.toLowerCase()));
}

/** Returns those headers that any server lets pages send. */
export function safelisted(headers: readonly Header[]): Header[] {
  return headers.filter(
    ({ name, value }) => SAFELISTED.test(name) && value.length <= MAX_SAFE_VALUE && !UNSAFE_VALUE.test(value),
  );
}

/** Returns true when a header says who asks, so that the request means something else without it. */
export function haveCredentials(headers: readonly Header[]): boolean {
  return headers.some(({ name }) => CARRIES_CREDENTIALS.test(name));
}

/** Returns true when a header asks for a part, or for an answer under a condition: without it the answer is another one. */
export function haveConditions(headers: readonly Header[]): boolean {
  return headers.some(({ name }) => CONDITION.test(name));
}

/** Returns the lines of an answer's headers, for a program that gets its body decoded and in chunks. `isHead`: there is no body, and its length is that of the one that a GET would get. */
export function answerLines(headers: Headers, isHead: boolean): string[] {
  const lines: string[] = [];
  const keepsLength = isHead && !headers.has("content-encoding");
  for (const [name, value] of headers)
    if (VALUE.test(value) && (!OF_THE_WAY.test(name) || (keepsLength && name === "content-length")))
      lines.push(`${name}: ${value}`);
  return lines;
}
