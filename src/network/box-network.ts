import type {
  Backend,
  BackendNetwork,
  BoxInfo,
  NetworkLogEntry,
  NetworkOptions,
} from "../backend/backend.js";
import { type CallOptions, callOptions, withSignal } from "../backend/call.js";
import { unsupported } from "../backend/errors.js";
import { parseNetwork, requireOptions } from "../backend/validate.js";
import { requireRules } from "./rules.js";

/**
 * The network of a box: {@link BoxHandle.network}.
 *
 * @example
 * await box.network.update({ allow: ["pypi.org", "*.pythonhosted.org:443"] });
 * for (const { host, port, verdict, rule } of await box.network.log())
 *   console.log(verdict, host, port, rule);
 */
export interface BoxNetwork {
  /**
   * Replaces the rules while the box runs; they are kept for its next start. Connections that they do not allow are reset. `{ allow: [] }` denies everything.
   *
   * @throws {BoxRunError} VALIDATION_ERROR when a rule makes no sense, or the box was created without a network
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} UNSUPPORTED when the backend has no rules
   */
  update(network: true | NetworkOptions, options?: CallOptions): Promise<void>;
  /**
   * Lists the last 200 connections that programs in the box made or tried to make since it was started, oldest first.
   *
   * @throws {BoxRunError} BOX_NOT_RUNNING when the box is not running
   * @throws {BoxRunError} UNSUPPORTED when the backend has no logs
   */
  log(options?: CallOptions): Promise<NetworkLogEntry[]>;
}

/** Implements {@link BoxNetwork.update}. */
export async function updateNetwork(
  backend: Backend,
  boxId: string,
  network: true | NetworkOptions,
  options: CallOptions,
): Promise<BoxInfo> {
  requireOptions(options, { signal: true });
  const checked = parseNetwork(network);
  requireRules(checked);
  return withSignal(options.signal, () =>
    networkOf(backend).update(boxId, checked, callOptions(options.signal)),
  );
}

/** Implements {@link BoxNetwork.log}. */
export function listConnections(
  backend: Backend,
  boxId: string,
  options: CallOptions,
): Promise<NetworkLogEntry[]> {
  requireOptions(options, { signal: true });
  return withSignal(options.signal, () => networkOf(backend).log(boxId, callOptions(options.signal)));
}

function networkOf({ network }: Backend): BackendNetwork {
  if (network) return network;
  throw unsupported("network: this backend has neither rules nor logs of what its boxes connect to");
}
