import type { NetworkLogEntry, NetworkOptions, Secrets } from "../../backend/backend.js";
import { unsupported } from "../../backend/errors.js";
import type { Dialer } from "../../network/dialer.js";
import { PolicyDialer } from "../../network/policy-dialer.js";
import { requireRules } from "../../network/rules.js";
import type { GuestMachine } from "../host/guest-machine.js";
import type { BoxDialer, BoxOfPage, WayOut } from "../host/host.js";
import { LINK } from "../network/ipv4.js";
import type { Encrypt } from "../network/secrets/secret-dialer.js";
import type { SecretGateway } from "../network/secrets/secret-gateway.js";
import { NetworkStack } from "../network/stack.js";
import { trust } from "./trust.js";

/** Things that the networks of a client's boxes have in common. */
export interface NetworkContext {
  wayOut: WayOut;
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
    private readonly way: OpenedWay,
    { bounds, neighbor }: NetworkContext,
  ) {
    this.lan = lanOf(network);
    this.policy = new PolicyDialer(way.box.dialer, network, {
      bounds,
      neighbor: (host) => (this.lan === undefined ? undefined : neighbor(this.lan, host)),
    });
    this.stack = new NetworkStack({
      dialer: way.through(this.policy),
      transmit: (packets) => handle.sendPackets(packets),
      startTimer: (ms, onElapsed) => guest.clock.startTimer(ms, onElapsed),
    });
  }

  /** Opens the network of a guest that is set up. Rejects, with nothing open, when the guest cannot raise it. */
  static async open(
    machine: GuestMachine,
    network: true | NetworkOptions,
    context: NetworkContext,
    secrets: Secrets | undefined,
  ): Promise<LocalNetwork> {
    const { guest, handle } = machine;
    const way = await openWay(context, secrets, {
      denialOf: (target) => opened.policy.denialOf(target),
      mayFollow: () => opened.policy.isOpen,
    });
    const opened: LocalNetwork = new LocalNetwork(machine, network, way, context);
    machine.onPackets = (packets) => opened.stack.receive(packets);
    handle.openNetwork();
    try {
      const { guest: address, prefix, gateway, nameServer: dns, mtu } = LINK;
      await guest.network({ address, prefix, gateway, dns, mtu });
      if (way.gateway)
        await opened.bring(guest, way.gateway, { isAlone: way.endsTls, hasSecrets: !!secrets });
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  /** Has the programs of the box trust a gateway, and gives them its placeholders. */
  private async bring(
    guest: GuestMachine["guest"],
    gateway: SecretGateway,
    { isAlone, hasSecrets }: { isAlone: boolean; hasSecrets: boolean },
  ): Promise<void> {
    const { env, note, hasBundle } = await trust(guest, gateway.pem, isAlone);
    this.env = { ...env, ...gateway.env };
    this.note = note;
    if (!hasSecrets) return;
    this.hasAuthorities = hasBundle;
    this.secretHosts = gateway.hosts;
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
    this.way.box.close?.();
  }
}

/** Dialer of a box that runs, and the gateway at which its TLS ends, or that to some hosts. */
interface OpenedWay {
  box: BoxDialer;
  gateway?: SecretGateway;
  /** Whether all TLS ends at the gateway. */
  endsTls: boolean;
  /** Puts the gateway before another dialer, where it has to be asked first. */
  through(next: Dialer): Dialer;
}

async function openWay(
  { wayOut, encrypt }: NetworkContext,
  secrets: Secrets | undefined,
  limits: Pick<BoxOfPage, "denialOf" | "mayFollow">,
): Promise<OpenedWay> {
  if ("openFor" in wayOut) {
    const gateway = await openGateway(secrets ?? {});
    const { authority } = gateway;
    const box = await wayOut.openFor({ ...limits, authority, rewriter: (host) => gateway.rewriter(host) });
    return { box, gateway, endsTls: true, through: (next) => next };
  }
  if (!secrets) return { box: await wayOut.open(), endsTls: false, through: (next) => next };
  // Fails closed: a placeholder must not go out unencrypted in place of a value.
  if (!encrypt) throw unsupported("secrets: nothing encrypts the connections of boxes here");
  const gateway = await openGateway(secrets);
  const { SecretDialer } = await import("../network/secrets/secret-dialer.js");
  const through = (next: Dialer) => new SecretDialer(next, encrypt, gateway);
  return { box: await wayOut.open(), gateway, endsTls: false, through };
}

async function openGateway(secrets: Secrets): Promise<SecretGateway> {
  const { SecretGateway } = await import("../network/secrets/secret-gateway.js");
  return SecretGateway.open(secrets);
}

/** Returns the name of the LAN that a box is on. */
function lanOf(network: boolean | NetworkOptions): string | undefined {
  return typeof network === "object" ? network.lan : undefined;
}
