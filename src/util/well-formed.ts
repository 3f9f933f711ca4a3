/** False for text with half a surrogate pair in it: no UTF-8 stands for that, and encoders put U+FFFD in its place without a word. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
