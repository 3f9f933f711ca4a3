import { invalid } from "../../backend/errors.js";
import type { ChosenWayOut, Host } from "../host/host.js";
import type { LocalOptions } from "./options.js";
import { requireRelayUrl } from "./relay-url.js";

/**
 * Chooses the way out of the boxes of a client with these options: the one that it names, else the host's own.
 *
 * @throws {BoxRunError} VALIDATION_ERROR when the options name two, or a relay by a URL that is none
 */
export function chooseWayOut(
  { network, dialer, relay }: Pick<LocalOptions, "network" | "dialer" | "relay">,
  host: Pick<Host, "wayOut">,
): ChosenWayOut {
  if (dialer && relay !== undefined) throw invalid("give local.relay or local.dialer, not both");
  if (relay !== undefined) requireRelayUrl(relay);
  if (network === false)
    return {
      missing:
        "boxes get no network here; what gives them one is local.network in a program, and --allow-network of boxrun serve",
    };
  if (dialer) return { name: "dialer", open: async () => ({ dialer }) };
  if (relay === undefined) return host.wayOut;
  return {
    name: "relay",
    open: async () => {
      const { RelayDialer } = await import("../network/relay-dialer.js");
      const own = new RelayDialer(relay);
      return { dialer: own, close: () => own.close() };
    },
  };
}
