import type { WayOutName } from "../../backend/backend.js";
import { invalid } from "../../backend/errors.js";
import type { Dialer } from "../../network/dialer.js";
import type { Host } from "../host/host.js";
import type { LocalOptions } from "./options.js";
import { requireRelayUrl } from "./relay-url.js";

/** The dialer of one box. */
export interface BoxDialer {
  dialer: Dialer;
  /** Closes what the dialer holds, when the box ends. Absent: nothing. */
  close?(): void;
}

/** The way out of a client's boxes, or the reason why there is none. */
export type ChosenWayOut =
  | {
      /** Name of the way, which the client reports. */
      name: WayOutName;
      /** Opens the way for a box. */
      open(): Promise<BoxDialer>;
    }
  | {
      /** Reason why boxes have no network here. */
      missing: string;
    };

/**
 * Chooses the way out of the boxes of a client with these options: the one that it names, else the host's own.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when the options name two, or a relay by a URL that is none
 */
export function chooseWayOut(
  { network, dialer, relay }: Pick<LocalOptions, "network" | "dialer" | "relay">,
  host: Pick<Host, "dialer">,
): ChosenWayOut {
  if (dialer && relay !== undefined) throw invalid("give local.relay or local.dialer, not both");
  if (relay !== undefined) requireRelayUrl(relay);
  if (network === false)
    return {
      missing:
        "boxes get no network here; what gives them one is local.network in a program, and --allow-network of boxrun serve",
    };
  if (dialer) return { name: "dialer", open: async () => ({ dialer }) };
  if (relay !== undefined)
    return {
      name: "relay",
      open: async () => {
        const { RelayDialer } = await import("../network/relay-dialer.js");
        const own = new RelayDialer(relay);
        return { dialer: own, close: () => own.close() };
      },
    };
  const load = host.dialer?.bind(host);
  if (load) return { name: "direct", open: async () => ({ dialer: await load() }) };
  return {
    missing:
      "a page cannot give a box a network by itself; give local.relay or local.dialer, use a server, or bring packages in as files",
  };
}
