import type { NetworkLogEntry, NetworkOptions } from "../../backend/backend.js";
import type { Dialer } from "../../network/dialer.js";
import { PolicyDialer } from "../../network/policy-dialer.js";
import { requireRules } from "../../network/rules.js";
import type { GuestMachine } from "../host/guest-machine.js";
import { LINK } from "../network/ipv4.js";
import { NetworkStack } from "../network/stack.js";

/** Way out of the boxes of a client. */
export interface WayOut {
  /** Loads the dialer. */
  dialer(): Promise<Dialer>;
  /** Rules that no box can exceed. */
  bounds: NetworkOptions | undefined;
  /** Finds a box of a LAN by its name. */
  neighbor(lan: string, host: string): Dialer | undefined;
}

/** The network of a box that runs: rules before a dialer, and the guest's packets before both. */
export class BoxNetwork {
  /** Name of the LAN that the box is on. */
  lan: string | undefined;
  private readonly policy: PolicyDialer;
  private readonly stack: NetworkStack;

  private constructor(
    { guest, handle }: GuestMachine,
    network: true | NetworkOptions,
    driver: Dialer,
    { bounds, neighbor }: WayOut,
  ) {
    this.lan = lanOf(network);
    this.policy = new PolicyDialer(driver, network, {
      bounds,
      neighbor: (host) => (this.lan === undefined ? undefined : neighbor(this.lan, host)),
    });
    this.stack = new NetworkStack({
      dialer: this.policy,
      transmit: (packets) => handle.sendPackets(packets),
      startTimer: (ms, onElapsed) => guest.clock.startTimer(ms, onElapsed),
    });
  }

  /** Opens the network of a guest that is set up. Rejects, with nothing open, when the guest cannot raise it. */
  static async open(
    machine: GuestMachine,
    network: true | NetworkOptions,
    wayOut: WayOut,
  ): Promise<BoxNetwork> {
    const { guest, handle } = machine;
    const opened = new BoxNetwork(machine, network, await wayOut.dialer(), wayOut);
    machine.onPackets = (packets) => opened.stack.receive(packets);
    handle.openNetwork();
    try {
      const { guest: address, prefix, gateway, nameServer: dns, mtu } = LINK;
      await guest.network({ address, prefix, gateway, dns, mtu });
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  /** Replaces the rules. @throws {BoxRunError} VALIDATION_ERROR when a rule makes no sense */
  update(network: true | NetworkOptions): void {
    requireRules(network);
    // First, so that connections to neighbors that are none any more are reset.
    this.lan = lanOf(network);
    this.policy.update(network);
  }

  log(): NetworkLogEntry[] {
    return this.policy.log();
  }

  /** Cuts all connections. Idempotent. */
  close(): void {
    this.stack.close();
  }
}

/** Returns the name of the LAN that a box is on. */
function lanOf(network: boolean | NetworkOptions): string | undefined {
  return typeof network === "object" ? network.lan : undefined;
}
