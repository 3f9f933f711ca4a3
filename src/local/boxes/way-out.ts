import type { WayOutName } from "../../backend/backend.js";
import type { Dialer } from "../../network/dialer.js";
import type { Host } from "../host/host.js";
import type { LocalOptions } from "./options.js";

/** The dialer of a client's boxes, or the reason why there is none. */
export type ChosenWayOut =
  | {
      /** Name of the way, which the client reports. */
      name: WayOutName;
      /** Loads the dialer. */
      load(): Promise<Dialer>;
    }
  | {
      /** Reason why boxes have no network here. */
      missing: string;
    };

/** Chooses the way out of the boxes of a client with these options: the one that it names, else the host's own. */
export function chooseWayOut(
  { network, dialer }: Pick<LocalOptions, "network" | "dialer">,
  host: Pick<Host, "dialer">,
): ChosenWayOut {
  if (network === false)
    return {
      missing:
        "boxes get no network here; what gives them one is local.network in a program, and --allow-network of boxrun serve",
    };
  if (dialer) return { name: "dialer", load: async () => dialer };
  if (host.dialer) return { name: "direct", load: host.dialer.bind(host) };
  return {
    missing:
      "a page cannot give a box a network by itself; use a server, give local.dialer, or bring packages in as files",
  };
}
