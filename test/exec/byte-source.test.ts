import { expect, it } from "vitest";
import { type Source, toStream } from "../../src/exec/byte-source.js";
import { BoxRunClient } from "../../src/index.js";
import { failure, pattern } from "../../src/testing/contract/tools.js";
import { FakeBackend } from "../../src/testing/fake-backend.js";

const bytes = pattern(1_000_001);
const text = "ö".repeat(500_000);

it.each<[string, Source, Uint8Array]>([
  ["bytes", bytes, bytes],
  ["a buffer", bytes.slice().buffer, bytes],
  ["a Blob", new Blob([bytes as Uint8Array<ArrayBuffer>]), bytes],
  ["text", text, new TextEncoder().encode(text)],
  ["nothing", "", new Uint8Array(0)],
])("%s of any size comes in pieces", async (_name, source, expected) => {
  const { stream, size } = toStream(source);
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  expect(pieces.every(({ byteLength }) => byteLength > 0 && byteLength <= 256 * 1024)).toBe(true);
  expect(Buffer.concat(pieces).equals(expected)).toBe(true);
  expect(size).toBe(expected.byteLength);
});

it("a Blob that is not read to its end lets go, and one that breaks says so", async () => {
  const { stream } = toStream(new Blob([bytes as Uint8Array<ArrayBuffer>]));
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel();
  class Broken extends Blob {
    override stream = () =>
      new ReadableStream({ start: (controller) => controller.error(new Error("gone")) });
  }
  expect((await failure(new Response(toStream(new Broken([])).stream).text())).message).toBe("gone");
});

it("an upload of bytes tells more than once how far it is", async () => {
  const box = await new BoxRunClient({ backend: new FakeBackend() }).create("fake");
  const sent: number[] = [];
  await box.upload(bytes, "/x", { onProgress: ({ loadedBytes }) => sent.push(loadedBytes) });
  expect(sent).toEqual([262_144, 524_288, 786_432, bytes.byteLength]);
});
