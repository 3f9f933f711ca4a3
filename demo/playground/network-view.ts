import type { BoxHandle, Capabilities } from "boxrun";
import { byId, make } from "./dom.js";

/** Entries of the log that are shown. */
const SHOWN = 20;

/** The switch that lets a box use the network, and what it allows. */
export class NetworkView {
  private readonly toggle = byId<HTMLInputElement>("network");
  private readonly info = byId("network-info");
  private box: BoxHandle | undefined;

  /** Whether boxes can have a network, or why not. */
  capability: Capabilities["network"] = true;

  /** @param byRelay whether the network is reached by a relay, not by the page's fetch */
  constructor(
    private readonly byRelay: boolean,
    onToggle: (allowed: boolean) => void,
    private readonly onError: (error: unknown) => void,
  ) {
    this.toggle.addEventListener("change", () => {
      this.say();
      onToggle(this.toggle.checked);
    });
    this.info.addEventListener("toggle", () => void this.showLog().catch(this.onError));
  }

  /** Shows whether the network is on. */
  show(allowed: boolean, box: BoxHandle | undefined): void {
    const isThere = this.capability === true;
    this.toggle.checked = allowed && isThere;
    if (!isThere) this.toggle.disabled = true;
    this.box = box;
    this.say();
  }

  private say(): void {
    const { byRelay, capability } = this;
    const [state, more] = this.toggle.checked
      ? ["The network is on", byRelay ? THROUGH_RELAY : BY_FETCH]
      : typeof capability === "string"
        ? ["There is no network", [...OFF, `The reason: ${capability}.`]]
        : ["The network is off", OFF];
    byId("network-state").textContent = state;
    byId("network-says").replaceChildren(...more.map((line) => make("p", "", line)));
  }

  private async showLog(): Promise<void> {
    const entries = (await this.box?.network.log().catch(() => [])) ?? [];
    const items = entries
      .slice(-SHOWN)
      .reverse()
      .map(({ verdict, host, address, port, rule, message, reason, error }) => {
        const why = rule ?? message ?? reason ?? error ?? "";
        const what = `${host ?? address}:${port}`;
        const how = verdict === "allowed" && why ? "failed" : verdict;
        return make("li", how, make("code", "", what), ` ${how}${why ? `: ${why}` : ""}`);
      });
    byId("network-log").replaceChildren(...(items.length > 0 ? items : [make("li", "muted", "None yet")]));
  }
}

const OFF = [
  "Programs in the box reach nothing outside of it. Its own servers work, and so does the preview.",
];
const BY_FETCH = [
  "Programs reach web servers (http and https) that let pages read them, such as PyPI, npm's registry and api.github.com: pip install works.",
  "Not reachable: sites that let no page read them (GitHub's git, Debian's packages), other ports, and your own network.",
];
const THROUGH_RELAY = [
  "Programs reach every public server that this page's relay allows, on any port. TLS is end to end.",
];
