/** A Cloudflare Worker. Its server is named by the variable BOXRUN_URL and the secret BOXRUN_TOKEN. */
import { BoxRunClient } from "boxrun/remote";
import { runInBox } from "./run-in-box.ts";

interface Env {
  BOXRUN_URL: string;
  BOXRUN_TOKEN: string;
}

/** Of Cloudflare's, what is used here. */
interface Context {
  waitUntil(promise: Promise<unknown>): void;
}

export default {
  async fetch(request: Request, env: Env, context: Context): Promise<Response> {
    const client = new BoxRunClient({ baseUrl: env.BOXRUN_URL, token: env.BOXRUN_TOKEN });
    const { response, removed } = await runInBox(client, request);
    // The box is removed after the answer has ended, when a Worker otherwise ends, too.
    context.waitUntil(removed.finally(() => client.close()));
    return response;
  },
};
