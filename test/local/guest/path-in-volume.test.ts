import { describe, expect, it } from "vitest";
import type { FileOperation } from "../../../src/backend/backend.js";
import { Guest } from "../../../src/local/guest/guest.js";
import { getFile, putFile } from "../../../src/local/guest/guest-files.js";
import { operateInGuest } from "../../../src/local/guest/guest-operation.js";
import type { GuestFrame } from "../../../src/local/protocol/frame-types.js";
import { encodeFrame } from "../../../src/local/protocol/frames.js";
import { runningBox } from "../fake-machine.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const volume = (path: string, second = "", stream = 1): GuestFrame => ({
  type: "volume",
  stream,
  path: bytes(path),
  second: bytes(second),
});
const STAT: FileOperation = { op: "stat", path: bytes("/work/a"), followLinks: true };
const RENAME: FileOperation = { op: "rename", path: bytes("/work/a"), to: bytes("/b") };
const CREDIT: GuestFrame = { type: "credit", stream: 1, bytes: 100 };
const SIZE: GuestFrame = { type: "stat", stream: 1, size: 1, mode: 0o644, mtimeMs: 0 };
const ENTRY: GuestFrame = { type: "data", stream: 1, channel: "file", data: new Uint8Array(32) };

/** A guest that the test plays. Everything it is asked is stream 1. */
function playedGuest() {
  const guest = new Guest(() => {});
  return { guest, answer: (frame: GuestFrame) => guest.receive(encodeFrame(frame)) };
}

/** A body that says whether anything was done with it. */
function bodyOf(text: string) {
  const events: string[] = [];
  const body = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        events.push("read");
        controller.enqueue(bytes(text));
        controller.close();
      },
      cancel: () => void events.push("canceled"),
    },
    { highWaterMark: 0 },
  );
  return { body, events };
}

const requests: [string, (guest: Guest) => Promise<unknown>][] = [
  ["an operation", (guest) => operateInGuest(guest, STAT, undefined)],
  ["a download", (guest) => getFile(guest, "/work/a")],
  ["an upload", (guest) => putFile(guest, { path: "/work/a", body: bodyOf("x").body })],
];

it.each(requests)("%s of a path in a volume rejects with where it is", async (_, ask) => {
  const { guest, answer } = playedGuest();
  const asked = ask(guest);
  answer(volume("/0/a"));
  await expect(asked).rejects.toMatchObject({ name: "PathInVolume", path: bytes("/0/a"), second: null });
});

it.each([
  [volume("/0/a"), bytes("/0/a"), null],
  [volume("", "/1/b"), null, bytes("/1/b")],
  [volume("/0/a", "/1/b"), bytes("/0/a"), bytes("/1/b")],
])("a rename rejects with where each of its paths is", async (frame, path, second) => {
  const { guest, answer } = playedGuest();
  const renamed = operateInGuest(guest, RENAME, undefined);
  answer(frame);
  await expect(renamed).rejects.toMatchObject({ path, second });
});

it("the body of an upload into a volume is the caller's again, and whole", async () => {
  const { guest, answer } = playedGuest();
  const { body, events } = bodyOf("all of it");
  const put = putFile(guest, { path: "/work/a", body });
  await Promise.resolve();
  answer(volume("/0/a"));
  await expect(put).rejects.toMatchObject({ name: "PathInVolume" });
  expect(events).toEqual([]);
  expect(await new Response(body).text()).toBe("all of it");
});

it("the body of any other upload that fails is canceled", async () => {
  const { guest, answer } = playedGuest();
  const { body, events } = bodyOf("x");
  const put = putFile(guest, { path: "/work/a", body });
  answer({ type: "fail", stream: 1, stage: 6, errno: 2, detail: "" });
  await expect(put).rejects.toThrow();
  expect(events).toEqual(["canceled"]);
});

describe("a guest that lies about volumes is ended", () => {
  it.each([
    ["a path that is not absolute", STAT, [volume("0/a")]],
    ["no path", STAT, [volume("")]],
    ["a second path where there is none", STAT, [volume("/0/a", "/1/b")]],
    ["no path of a rename", RENAME, [volume("")]],
    ["a second path that is not absolute", RENAME, [volume("/0/a", "b")]],
    ["entries before it", STAT, [ENTRY, volume("/0/a")]],
  ])("when it says %s", async (_, operation, frames) => {
    const { guest, answer } = playedGuest();
    operateInGuest(guest, operation, undefined).catch(() => {});
    expect(() => frames.forEach(answer)).toThrow(expect.objectContaining({ code: "PROTOCOL_ERROR" }));
  });

  it("when it has taken the upload, or described the download", () => {
    const put = playedGuest();
    putFile(put.guest, { path: "/work/a", body: bodyOf("x").body }).catch(() => {});
    put.answer(CREDIT);
    expect(() => put.answer(volume("/0/a"))).toThrow(/granted credit for a path in a volume/);
    const get = playedGuest();
    getFile(get.guest, "/work/a").catch(() => {});
    get.answer(SIZE);
    expect(() => get.answer(volume("/0/a"))).toThrow(/described a file in a volume/);
  });
});

it("a guest that speaks of a volume where there is none gets nothing done", async () => {
  const { backend, id, machine } = await runningBox();
  const came = machine.next("get");
  const download = backend.download(id, "/work/a", {});
  download.catch(() => {});
  machine.send(volume("/0/a", "", (await came).stream));
  await expect(download).rejects.toMatchObject({
    code: "RUNTIME_ERROR",
    message: "download of /work/a: input/output error (EIO)",
  });
});
