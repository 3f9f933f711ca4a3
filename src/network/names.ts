const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const MAX_NAME = 253;
/** A last label by which a resolver takes the whole name for an IPv4 address: "0x7f.1", "2130706433". */
const NUMBER = /^(?:\d+|0x[0-9a-f]*)$/;

/** Name by which a program in a box connects to the host's own loopback. It exists only for the rules that name it. */
export const HOST_NAME = "host.internal";

/** Returns true for a name as name servers have them: ASCII in lower case, without a dot at its end, and nothing that a resolver takes for an address. */
export function isName(text: string): boolean {
  const labels = text.split(".");
  return (
    text.length <= MAX_NAME && labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels.at(-1)!)
  );
}

/** Returns a name as name servers have it: in lower case, in ASCII, without a dot at its end. Undefined for what is no name. */
export function asciiName(text: string): string | undefined {
  const bare = text.replace(/\.$/, "");
  // Of what else a URL may have (user, port, escapes), a name has nothing.
  if (!/^[\p{L}\p{M}\p{N}._-]+$/u.test(bare)) return undefined;
  const plain = /^\p{ASCII}+$/u.test(bare) ? bare.toLowerCase() : hostOf(bare);
  return plain !== undefined && isName(plain) ? plain : undefined;
}

function hostOf(name: string): string | undefined {
  try {
    return new URL(`http://${name}`).hostname;
  } catch {
    return undefined;
  }
}
