/** A function for `deno serve` and Deno Deploy. Its server is named by the environment variables BOXRUN_URL and BOXRUN_TOKEN. */
import { BoxRunClient } from "boxrun/remote";
import { runInBox } from "./run-in-box.ts";

declare const Deno: { env: { get(name: string): string | undefined } };

const env = (name: string) => {
  const value = Deno.env.get(name);
  if (!value) throw new Error(`set ${name}`);
  return value;
};

export default {
  async fetch(request: Request): Promise<Response> {
    const client = new BoxRunClient({
      baseUrl: env("BOXRUN_URL"),
      token: env("BOXRUN_TOKEN"),
    });
    const { response, removed } = await runInBox(client, request);
    removed
      .finally(() => client.close())
      .catch((error) => console.error("the box could not be removed:", error));
    return response;
  },
};
