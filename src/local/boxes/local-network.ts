import type { NetworkLogEntry, NetworkOptions, Secrets } from "../../backend/backend.js";
import { unsupported } from "../../backend/errors.js";
import type { Dialer } from "../../network/dialer.js";
import { PolicyDialer } from "../../network/policy-dialer.js";
import { requireRules } from "../../network/rules.js";
import type { GuestMachine } from "../host/guest-machine.js";
import { LINK } from "../network/ipv4.js";
import type { Encrypt } from "../network/secrets/secret-dialer.js";
import type { SecretGateway } from "../network/secrets/secret-gateway.js";
import { NetworkStack } from "../network/stack.js";
import { trust } from "./trust.js";
import type { BoxDialer } from "./way-out.js";

/** Way out of the boxes of a client. */
export interface WayOut {
  /** Opens the way for a box. */
  open(): Promise<BoxDialer>;
  /** Rules that no box can exceed. */
  bounds: NetworkOptions | undefined;
  /** Encrypts the connections of boxes that have secrets. Absent where there is no way to. */
  encrypt: Encrypt | undefined;
  /** Finds a box of a LAN by its name. */
  neighbor(lan: string, host: string): Dialer | undefined;
}

/** The network of a box that runs: rules before a dialer, and the guest's packets before both. */
export class LocalNetwork {
  /** Name of the LAN that the box is on. */
  lan: string | undefined;
  /** Message for the owner of the box. */
  note: string | undefined;
  /** False when the box has no list of authorities, so that its programs cannot use secrets. */
  hasAuthorities = true;
  /** Variables for every command in the box. */
  env: Readonly<Record<string, string>> = {};
  /** Hosts of the secrets, by their names. */
  secretHosts: Record<string, string[]> | undefined;
  private readonly policy: PolicyDialer;
  private readonly stack: NetworkStack;

  private constructor(
    { guest, handle }: GuestMachine,
    network: true | NetworkOptions,
    private readonly way: BoxDialer,
    { bounds, encrypt, neighbor }: WayOut,
    gateway: SecretGateway | undefined,
  ) {
    this.lan = lanOf(network);
    this.policy = new PolicyDialer(way.dialer, network, {
      bounds,
      neighbor: (host) => (this.lan === undefined ? undefined : neighbor(this.lan, host)),
    });
    this.stack = new NetworkStack({
      dialer: gateway && encrypt ? gateway.over(this.policy, encrypt) : this.policy,
      transmit: (packets) => handle.sendPackets(packets),
      startTimer: (ms, onElapsed) => guest.clock.startTimer(ms, onElapsed),
    });
  }

  /** Opens the network of a guest that is set up. Rejects, with nothing open, when the guest cannot raise it. */
  static async open(
    machine: GuestMachine,
    network: true | NetworkOptions,
    wayOut: WayOut,
    secrets: Secrets | undefined,
  ): Promise<LocalNetwork> {
    const { guest, handle } = machine;
    const secretGateway = secrets ? await openGateway(secrets, wayOut) : undefined;
    const opened = new LocalNetwork(machine, network, await wayOut.open(), wayOut, secretGateway);
    machine.onPackets = (packets) => opened.stack.receive(packets);
    handle.openNetwork();
    try {
      const { guest: address, prefix, gateway, nameServer: dns, mtu } = LINK;
      await guest.network({ address, prefix, gateway, dns, mtu });
      if (secretGateway) {
        const { env, note, hasBundle } = await trust(guest, secretGateway.pem);
        opened.env = { ...env, ...secretGateway.env };
        opened.note = note;
        opened.hasAuthorities = hasBundle;
        opened.secretHosts = secretGateway.hosts;
      }
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
    this.way.close?.();
  }
}

async function openGateway(secrets: Secrets, { encrypt }: WayOut): Promise<SecretGateway> {
  // Fails closed: a placeholder must not go out unencrypted in place of a value.
  if (!encrypt) throw unsupported("secrets: nothing encrypts the connections of boxes here");
  const { SecretGateway } = await import("../network/secrets/secret-gateway.js");
  return SecretGateway.open(secrets);
}

/** Returns the name of the LAN that a box is on. */
function lanOf(network: boolean | NetworkOptions): string | undefined {
  return typeof network === "object" ? network.lan : undefined;
}
