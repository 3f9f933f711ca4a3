/** SHA-256 where there is no WebCrypto. Imported alone, so that bundlers leave the library's other hashes out. */
export { sha256 } from "@noble/hashes/sha2.js";
