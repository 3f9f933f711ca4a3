/** `Symbol.asyncDispose`, which Firefox 140 and Safari do not have: there it is what compilers of `await using` take in its place. */
export const asyncDispose: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for("Symbol.asyncDispose") as never);
