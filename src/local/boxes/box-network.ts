import type { NetworkLogEntry, NetworkOptions } from "../../backend/backend.js";
import type { Dialer } from "../../network/dialer.js";
import { PolicyDialer } from "../../network/policy-dialer.js";
import type { GuestMachine } from "../host/guest-machine.js";
import { LINK } from "../network/ipv4.js";
import { NetworkStack } from "../network/stack.js";

/** Way out of the boxes of a client. */
export interface WayOut {
  /** Loads the dialer. */
  dialer(): Promise<Dialer>;
  /** Rules that no box can exceed. */
  bounds: NetworkOptions | undefined;
}

/** The network of a box that runs: rules before a dialer, and the guest's packets before both. */
export class BoxNetwork {
  private constructor(
    private readonly policy: PolicyDialer,
    private readonly stack: NetworkStack,
  ) {}

  /** Opens the network of a guest that is set up. Rejects, with nothing open, when the guest cannot raise it. */
  static async open(
    machine: GuestMachine,
    network: true | NetworkOptions,
    { dialer, bounds }: WayOut,
  ): Promise<BoxNetwork> {
    const { guest, handle } = machine;
    const policy = new PolicyDialer(await dialer(), network, { bounds });
    const stack = new NetworkStack({
      dialer: policy,
      transmit: (packets) => handle.sendPackets(packets),
      startTimer: (ms, onElapsed) => guest.clock.startTimer(ms, onElapsed),
    });
    const opened = new BoxNetwork(policy, stack);
    machine.onPackets = (packets) => stack.receive(packets);
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
