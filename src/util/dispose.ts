/** `Symbol.asyncDispose`, or in Firefox 140 and Safari, which lack it, the key that compilers of `await using` use instead. */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for("Symbol.asyncDispose") as never);
