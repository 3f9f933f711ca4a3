import { expect, it } from "vitest";
import { chunkSizeOf, headerOf, isToken, lengthOf } from "../../src/util/http-syntax.js";

it.each(["GET", "x-a.b~c", "!#$%&'*+-.^_`|~"])("takes %j for a token", (text) => {
  expect(isToken(text)).toBe(true);
});

it.each(["", "a b", "a:b", "a\n", "ä", "(a)"])("does not take %j for a token", (text) => {
  expect(isToken(text)).toBe(false);
});

it("reads a header, and none that is folded or has no name", () => {
  expect(headerOf("Host: \t a:80 ")).toEqual({ name: "Host", value: "a:80" });
  expect(headerOf("x:")).toEqual({ name: "x", value: "" });
  for (const line of ["", ":a", "no colon", " folded: a", "a : b", "a\0: b"])
    expect(headerOf(line)).toBeUndefined();
});

it("reads lengths in decimal digits alone", () => {
  expect(["0", "42", "999999999999999"].map(lengthOf)).toEqual([0, 42, 999_999_999_999_999]);
  for (const value of ["", "+5", "-1", "1.5", "0x10", " 1", "1, 1", "1000000000000000"])
    expect(lengthOf(value)).toBeUndefined();
});

it("reads the sizes of chunks, and skips their extensions", () => {
  expect(["0", "1aF", "5 ", "5;a=b", '5\t; a="\xe4"'].map(chunkSizeOf)).toEqual([0, 431, 5, 5, 5]);
  for (const line of ["", "-1", "0x5", "5 5", "g", "5;a\rb", "5;\0", "12345678901234"])
    expect(chunkSizeOf(line)).toBeUndefined();
});
