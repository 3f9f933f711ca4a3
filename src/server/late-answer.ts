import { within } from "../util/within.js";
import { errorResponse } from "./http-error.js";

/** JSON may begin with any amount of it. */
const KEEP_ALIVE = " ";

/**
 * The answer to what may take long for good reason. Once `aliveMs` have passed it begins, with 200, and says so often that the server is there; its body tells then what came of
 * it, an error, too.
 */
export async function lateAnswer(work: Promise<Response>, aliveMs: number): Promise<Response> {
  const early = await within(aliveMs, work);
  if (early) return early;
  // Only routes that are extensions answer late.
  const answer = work.catch((error: unknown) => errorResponse(error, { extensions: true }));
  const utf8 = new TextEncoder();
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const response = await within(aliveMs, answer);
        controller.enqueue(utf8.encode(response ? await response.text() : KEEP_ALIVE));
        if (response) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: { "content-type": "application/json", "cache-control": "no-store", "x-accel-buffering": "no" },
  });
}
