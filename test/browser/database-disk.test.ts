import { expect, it } from "vitest";
import { openDatabaseDisk } from "../../src/local/machine/disk-database-browser.js";
import { deleteDatabase, openDatabase } from "../../src/local/state/database-browser.js";

const NAME = "database-disk-test";
const OPTIONS = { bytes: 2 ** 30, durability: "relaxed" } as const;
const sector = (value: number) => new Uint8Array(512).fill(value);

it("a disk in a database keeps all of what is written to one of its chunks at once, and what is written while it is read", async () => {
  (await openDatabase(NAME, { create: true, durability: "relaxed" }))!.close();
  const first = await openDatabaseDisk(NAME, OPTIONS);
  await first.write(0, sector(1));
  await first.close();

  // Nothing is in memory: each of these has to look at what is stored.
  const second = await openDatabaseDisk(NAME, OPTIONS);
  await Promise.all([
    second.read(0, 512),
    second.write(512, sector(2)),
    second.read(0, 512),
    second.write(1024, sector(3)),
  ]);
  await second.write(1536, sector(4));
  await second.close();

  const third = await openDatabaseDisk(NAME, OPTIONS);
  const bytes = await third.read(0, 2048);
  expect([0, 512, 1024, 1536].map((at) => bytes[at])).toEqual([1, 2, 3, 4]);
  await third.close();
  await deleteDatabase(NAME);
});
