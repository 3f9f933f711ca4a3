/** SHA-256 where there is no WebCrypto. A module of its own, since an import of the whole library when it is needed would keep its other hashes, too, in a chunk that pages load for TLS. */
export { sha256 } from "@noble/hashes/sha2.js";
