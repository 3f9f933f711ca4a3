/** What workerd runs. Its answer is a dot for every few seconds, so that who waits for it sees it live, until the contract has been run. */
import type { Settings } from "./messages.js";
import { runContract } from "./run-contract.js";

const ALIVE_MS = 5000;

export default {
  fetch(_: Request, { SETTINGS }: { SETTINGS: Settings }): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const alive = setInterval(() => controller.enqueue(new TextEncoder().encode(".")), ALIVE_MS);
        runContract(SETTINGS)
          .finally(() => clearInterval(alive))
          .then(
            () => controller.close(),
            (error) => controller.error(error),
          );
      },
    });
    return new Response(body);
  },
};
