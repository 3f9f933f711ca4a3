import { within } from "../util/within.js";
import { errorResponse } from "./http-error.js";

/** White space, of which JSON may begin with any amount. */
const KEEP_ALIVE = " ";

/**
 * Answers a request that may take long for a good reason. After `aliveMs` the response begins with status 200 and sends a keep-alive at this interval; its body
 * then has the result, which may be an error.
 */
export async function lateAnswer(work: Promise<Response>, aliveMs: number): Promise<Response> {
  const early = await within(aliveMs, work);
  if (early) return early;
  // Only extension routes use this.
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
