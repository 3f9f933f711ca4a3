import type { AssetSource } from "../assets/asset-source.js";
import type { FromMachine, ToMachine } from "../machine/messages.js";
import type { BoxStore } from "../store/box-store.js";

/** The Worker of one machine, seen from its owner. */
export interface MachineWorker {
  post(message: ToMachine, transfer?: ArrayBuffer[]): void;
  /** Ends the Worker at once, whatever it does. Resolves when it is gone. */
  terminate(): Promise<void>;
  /** While held, the Worker keeps the process alive; otherwise a script that has nothing else to do ends. */
  hold(held: boolean): void;
}

/** What the local backend needs of the place it runs in. */
export interface Host {
  /** In words: "Node 20.20.2". */
  readonly description: string;
  /** Of the device, in MiB; undefined where that is not told. */
  readonly memoryMb: number | undefined;
  /** The URL of the folder of assets: `given` resolved, or the one that came with the package. */
  assetsLocation(given: string | undefined): string;
  openSource(location: string, cache: string | undefined): AssetSource;
  /** Where boxes are kept: `state` is the option, undefined for the host's own place. */
  openStore(state: string | undefined): Promise<BoxStore>;
  /** Calls `onChange` when nobody sees the page any more, and when somebody does again, until what it returns is called. Absent where there is no page. */
  watchHidden?(onChange: (hidden: boolean) => void): () => void;
  /** Starts a Worker. `onFailure` is called when it could not start or ended by itself. */
  startWorker(onMessage: (message: FromMachine) => void, onFailure: (error: Error) => void): MachineWorker;
}
