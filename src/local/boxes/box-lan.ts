import { isBoxRunError } from "../../backend/errors.js";
import { DialError, type Dialer } from "../../network/dialer.js";
import type { LocalBox } from "./local-box.js";

/** Ending that a box's name may have, so that a name of a LAN looks like none of the internet. */
const SUFFIX = ".internal";

/** Finds a box by the name that another one of its LAN has for it, and makes it a way to connect. Undefined when there is none. */
export function findNeighbor(boxes: Iterable<LocalBox>, lan: string, host: string): Dialer | undefined {
  const name = host.endsWith(SUFFIX) ? host.slice(0, -SUFFIX.length) : host;
  for (const box of boxes) if (box.lan === lan && box.hostname.toLowerCase() === name) return wayTo(box);
  return undefined;
}

function wayTo(box: LocalBox): Dialer {
  return {
    connect: async ({ port }, { signal }) => {
      try {
        return await box.connect(port, signal);
      } catch (error) {
        if (!isBoxRunError(error)) throw error;
        const code = error.code === "PORT_CLOSED" ? "ECONNREFUSED" : "EHOSTUNREACH";
        throw new DialError(code, error.message, { cause: error });
      }
    },
  };
}
