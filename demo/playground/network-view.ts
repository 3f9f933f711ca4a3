import type { BoxHandle, Capabilities } from "boxrun";
import { byId, make } from "./dom.js";

/** Entries of the log that are shown. */
const SHOWN = 20;

/** The switch that lets a box use the network, and what it allows. */
export class NetworkView {
  private readonly toggle = byId<HTMLInputElement>("network");
  private readonly info = byId("network-info");
  private box: BoxHandle | undefined;

  /** @param way whether the network is reached by a relay, not by the page's fetch; and whether there is one at all, or why not */
  constructor(
    private readonly way: { byRelay: boolean; network: Capabilities["network"] },
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
    const isThere = this.way.network === true;
    this.toggle.checked = allowed && isThere;
    if (!isThere) this.toggle.disabled = true;
    this.box = box;
    this.say();
  }

  private say(): void {
    const { byRelay, network } = this.way;
    const [state, more] = this.toggle.checked
      ? ["The network is on", byRelay ? THROUGH_RELAY : BY_FETCH]
      : typeof network === "string"
        ? ["There is no network", [...OFF, `The reason: ${network}.`]]
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
        const why = message ?? rule ?? reason ?? error ?? "";
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
