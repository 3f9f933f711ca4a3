const NAME_LENGTH = 12;

/** Id of a box anywhere: other servers use capital letters, too. */
export const BOX_ID = /^box_[0-9A-Za-z]{12}$/;
/** Id of a box that this package created. It names folders and databases, and not every file system is case-sensitive. */
export const OWN_BOX_ID = /^box_[0-9a-z]{12}$/;

/** Creates an id: the prefix, "_" and a random name. */
export function newId(prefix: "box" | "exec"): string {
  return `${prefix}_${randomName()}`;
}

/** Returns 12 random characters, small letters and digits (62 bits). Pages without https, which lack `crypto.randomUUID`, have this. */
export function randomName(): string {
  let name = "";
  while (name.length < NAME_LENGTH) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    // 252 is the largest multiple of 36 that fits into a byte. With larger values some characters would be more likely than others.
    if (byte! < 252) name += (byte! % 36).toString(36);
  }
  return name;
}
