/** Returns false for text with half a surrogate pair in it, which UTF-8 cannot represent: encoders silently replace it with U+FFFD. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
