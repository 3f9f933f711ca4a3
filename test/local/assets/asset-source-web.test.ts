import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PassingFailure } from "../../../src/local/assets/asset-source.js";
import { webAssetSource } from "../../../src/local/assets/asset-source-web.js";

/** What was asked: "GET" or "HEAD" each time. */
let asked: string[];
let answer: (method: string, signal: AbortSignal) => Promise<Response>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException("timed out", "TimeoutError")), ms);
    return controller.signal;
  });
  asked = [];
  vi.stubGlobal("location", { origin: "https://page.example" });
  vi.stubGlobal("fetch", (_url: URL, { method = "GET", signal }: RequestInit) => {
    asked.push(method);
    return answer(method, signal as AbortSignal);
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const BYTES = new Uint8Array([1, 2, 3]);
const refuse = async () => Promise.reject(new TypeError("Failed to fetch"));
const hang = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
/** Returns an answer that breaks off after its first bytes. */
async function cut(): Promise<Response> {
  const pieces = [BYTES];
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    const piece = pieces.pop();
    if (piece) controller.enqueue(piece);
    else controller.error(new TypeError("network error"));
  };
  return new Response(new ReadableStream({ pull }));
}

/** Reads a file of another origin, and lets all time pass that it waits. */
async function read(options: { tries?: number } = {}): Promise<unknown> {
  const source = webAssetSource("https://cdn.example/assets/", async (bytes) => bytes, "nothing is kept");
  const outcome = source.read("file.bin", options).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(24_000);
  return outcome;
}

it("a file of another origin that no try can read, though its server is there, is hidden from pages", async () => {
  answer = (method) => (method === "HEAD" ? Promise.resolve(new Response()) : refuse());
  expect(String(await read())).toMatch(
    "https://cdn.example/assets/file.bin is on another origin, which does not let pages of https://page.example read it",
  );
  expect(asked).toEqual(["GET", "GET", "GET", "GET", "HEAD", "GET"]);
});

it.each([
  ["is lost before it answers", refuse],
  ["breaks off", cut],
])("a connection to another origin that %s is tried again", async (_what, fail) => {
  answer = (method) =>
    asked.length === 1 && method === "GET" ? fail() : Promise.resolve(new Response(BYTES));
  expect(await read()).toEqual(BYTES);
  expect(asked).toEqual(["GET", "GET"]);
});

it("a failure that has passed when the server is asked whether it is there is no failure", async () => {
  answer = () => (asked.length === 1 ? refuse() : Promise.resolve(new Response(BYTES)));
  expect(await read({ tries: 1 })).toEqual(BYTES);
});

it.each([
  ["does not answer", (signal: AbortSignal) => hang(signal), ["GET"]],
  ["breaks off each time", cut, ["GET"]],
  ["is not there", refuse, ["GET", "HEAD"]],
])("a server of another origin that %s is not said to hide its files", async (_what, fail, requests) => {
  answer = (method, signal) =>
    method === "HEAD" && requests.length === 1 ? Promise.resolve(new Response()) : fail(signal);
  expect(await read({ tries: 1 })).toBeInstanceOf(PassingFailure);
  expect(asked).toEqual(requests);
});

it("a server that does not say whether it is there is asked for a short time only", async () => {
  answer = (method, signal) => (method === "HEAD" ? hang(signal) : refuse());
  let ended = false;
  const source = webAssetSource("https://cdn.example/assets/", async (bytes) => bytes, "nothing is kept");
  const reading = source.read("file.bin", { tries: 1 }).catch(() => {
    ended = true;
  });
  await vi.advanceTimersByTimeAsync(3_500);
  expect(ended).toBe(true);
  await reading;
});
