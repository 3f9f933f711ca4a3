import { expect, it } from "vitest";
import { portsOf } from "../../../src/local/boxes/box-ports.js";

it.each([
  ["00000000", "0.0.0.0"],
  ["0100007F", "127.0.0.1"],
  ["00000000000000000000000000000000", "::"],
  ["00000000000000000000000001000000", "::1"],
  ["000080FE000000000000000001000000", "fe80::1"],
])("a server's address %s is written as %s", (hex, address) => {
  const line = `   0: ${hex}:1F40 ${hex}:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0`;
  expect(portsOf(line)).toEqual([{ port: 8000, addresses: [address] }]);
});
