const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
const ID_LENGTH = 12;

/** Id of a box anywhere: other servers use capital letters, too. */
export const BOX_ID = /^box_[0-9A-Za-z]{12}$/;
/** Id of a box that this package created. It names folders and databases, and not every file system is case-sensitive. */
export const OWN_BOX_ID = /^box_[0-9a-z]{12}$/;

/** Creates an id: the prefix, "_" and 12 random characters (62 bits). */
export function newId(prefix: "box" | "exec"): string {
  let id = "";
  while (id.length < ID_LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(16))) {
      // 252 is the largest multiple of 36 that fits into a byte. With larger values some characters would be more likely than others.
      if (byte < 252 && id.length < ID_LENGTH) id += ALPHABET[byte % ALPHABET.length];
    }
  }
  return `${prefix}_${id}`;
}
