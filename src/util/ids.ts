const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
const ID_LENGTH = 12;

/** Of boxes anywhere: other servers use capitals, too. */
export const BOX_ID = /^box_[0-9A-Za-z]{12}$/;
/** Of boxes whose ids were made here: folders and databases have them for names, and not every file system tells capitals from small letters. */
export const OWN_BOX_ID = /^box_[0-9a-z]{12}$/;

/** A fresh id: the prefix, "_" and 12 random characters (62 bits). */
export function newId(prefix: "box" | "exec"): string {
  let id = "";
  while (id.length < ID_LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(16))) {
      // 252 is the largest multiple of 36 that fits a byte: above it a character would be likelier than others.
      if (byte < 252 && id.length < ID_LENGTH) id += ALPHABET[byte % ALPHABET.length];
    }
  }
  return `${prefix}_${id}`;
}
