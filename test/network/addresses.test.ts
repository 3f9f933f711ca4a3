import { describe, expect, it } from "vitest";
import {
  addressText,
  firstOf,
  isPublic,
  isWithin,
  parseAddress,
  parseBlock,
} from "../../src/network/addresses.js";

const read = (text: string) => {
  const address = parseAddress(text);
  return address && addressText(address);
};

describe("addresses", () => {
  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "0:0:0:0:0:0:0:0"],
    ["::1", "0:0:0:0:0:0:0:1"],
    ["2001:DB8::1:0", "2001:db8:0:0:0:0:1:0"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0:0:0:c000:201"],
    ["::ffff:127.0.0.1", "127.0.0.1"],
    ["::ffff:7f00:1", "127.0.0.1"],
  ])("reads %s", (text, canonical) => expect(read(text)).toBe(canonical));

  it.each([
    ...[
      "",
      "127.1",
      "0x7f.0.0.1",
      "017700000001",
      "2130706433",
      "127.0.0.01",
      "1.2.3.256",
      "1.2.3",
      "1.2.3.4.",
    ],
    ...[
      "1.2.3.4.5",
      " 1.2.3.4",
      "1.2.3.4\n",
      "１.2.3.4",
      "+1.2.3.4",
      ":",
      ":::",
      "1::2::3",
      "12345::",
      "g::",
    ],
    ...["1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8::", "::1%lo", "[::1]", "1.2.3.4::", "::1.2.3"],
  ])("does not read %j", (text) => expect(read(text)).toBeUndefined());

  it.each([
    ...[
      "0.0.0.0",
      "10.255.255.255",
      "100.64.0.1",
      "127.0.0.1",
      "127.255.0.9",
      "169.254.169.254",
      "172.16.0.1",
    ],
    ...[
      "172.31.255.255",
      "192.0.0.1",
      "192.168.1.1",
      "198.18.0.1",
      "198.19.255.255",
      "224.0.0.1",
      "255.255.255.255",
    ],
    ...[
      "::",
      "::1",
      "::127.0.0.1",
      "fc00::1",
      "fdff::",
      "fe80::1",
      "febf::1",
      "fec0::1",
      "ff02::1",
      "2001:0:1::1",
    ],
    ...[
      "::ffff:127.0.0.1",
      "::ffff:10.0.0.1",
      "::ffff:a9fe:a9fe",
      "64:ff9b::10.0.0.1",
      "64:ff9b::169.254.169.254",
    ],
    ...["2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:0101::", "64:ff9b:1::8.8.8.8"],
  ])("takes %s for an address that is not public", (text) =>
    expect(isPublic(parseAddress(text)!)).toBe(false),
  );

  it.each([
    ...[
      "1.1.1.1",
      "9.255.255.255",
      "11.0.0.0",
      "100.63.0.1",
      "100.128.0.1",
      "126.0.0.1",
      "128.0.0.1",
      "169.253.0.1",
    ],
    ...[
      "172.15.0.1",
      "172.32.0.1",
      "192.167.0.1",
      "192.169.0.1",
      "198.17.0.1",
      "198.20.0.1",
      "223.255.255.255",
    ],
    ...["2606:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::", "::ffff:8.8.8.8"],
  ])("takes %s for a public one", (text) => expect(isPublic(parseAddress(text)!)).toBe(true));

  it.each([
    ["10.0.0.0/8", "10.255.0.1", "11.0.0.1"],
    ["0.0.0.0/0", "255.0.0.1", "::1"],
    ["192.0.2.1", "192.0.2.1", "192.0.2.2"],
    ["2001:db8::/32", "2001:db8:ffff::", "2001:db9::"],
    ["::ffff:10.0.0.0/104", "10.1.1.1", "::a01:101"],
    ["::/0", "ff::1", "1.2.3.4"],
  ])("has in %s the address %s, and not %s", (block, inside, outside) => {
    expect(isWithin(parseAddress(inside)!, parseBlock(block)!)).toBe(true);
    expect(isWithin(parseAddress(outside)!, parseBlock(block)!)).toBe(false);
  });

  it.each([
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0/8",
    "::/129",
    "::ffff:1.2.3.4/90",
    "/8",
  ])("does not read the block %s", (text) => expect(parseBlock(text)).toBeUndefined());

  it("knows where a block begins", () => {
    expect(addressText(firstOf(parseBlock("203.0.113.77/26")!))).toBe("203.0.113.64");
  });
});
