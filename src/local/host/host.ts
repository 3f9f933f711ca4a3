import type { BackendPreview, Connection, WayOutName } from "../../backend/backend.js";
import type { CallOptions } from "../../backend/call.js";
import type { ByteConnection, Dialer } from "../../network/dialer.js";
import type { AssetPlaces } from "../assets/asset-places.js";
import type { AssetSource } from "../assets/asset-source.js";
import type { VerifiedFile } from "../assets/assets.js";
import type { AssetManifest } from "../assets/manifest.js";
import type { DirectoryConfig, FromMachine, ToMachine } from "../machine/messages.js";
import type { FetchDialerOptions } from "../network/gateway/fetch-dialer.js";
import type { BoxStore } from "../store/box-store.js";

/** The Worker of one machine, as its owner sees it. */
export interface MachineWorker {
  post(message: ToMachine, transfer?: ArrayBuffer[]): void;
  /** Ends the Worker at once, whatever it does. Resolves when it is gone. */
  terminate(): Promise<void>;
  /** Keeps the process alive while held. Otherwise a script that has nothing else to do ends. */
  hold(held: boolean): void;
}

/** Facts about a box that the way out of a page needs. */
export type BoxOfPage = Omit<FetchDialerOptions, "origin" | "isSecure">;

/** Dialer of one box. */
export interface BoxDialer {
  dialer: Dialer;
  /** Closes what the dialer holds, when the box ends. Absent: nothing. */
  close?(): void;
}

/** Way by which the connections of boxes leave. */
export type WayOut =
  | {
      /** Name of the way, which the client reports. */
      name: Exclude<WayOutName, "fetch">;
      /** Opens the way for a box. */
      open(): Promise<BoxDialer>;
    }
  | {
      name: "fetch";
      /** Opens the way for a box, whose TLS all ends at the dialer. */
      openFor(box: BoxOfPage): Promise<BoxDialer>;
    };

/** The way out of a client's boxes, or the reason why there is none. */
export type ChosenWayOut =
  | WayOut
  | {
      /** Reason why boxes have no network here. */
      missing: string;
    };

/** The environment of the local backend. */
export interface Host {
  /** Description for people: "Node 20.20.2". */
  readonly description: string;
  /** Memory of the device in MiB; undefined where that is not known. */
  readonly memoryMb: number | undefined;
  /** Opens a folder of assets. `part` names a part of the cache for a folder that is not the package's. */
  openSource(location: string, cache: string | undefined, part?: string): AssetSource;
  /** Returns the URL of an installed package's folder, ending in "/". Absent where packages are not installed. */
  findPackage?(name: string): string | undefined;
  /** Returns where to look for the assets: at `given`, the option, or else where those are that came with the package. @throws {BoxRunError} VALIDATION_ERROR */
  assetPlaces(given: string | undefined): AssetPlaces;
  /** Returns the script of the Workers in which machines run. Absent where it is not among the assets. */
  workerScript?(manifest: AssetManifest): VerifiedFile | undefined;
  /** Opens the place where boxes are kept. `state` is the option, undefined for the host's own place. */
  openStore(state: string | undefined): Promise<BoxStore>;
  /** Calls `onChange` when the page is hidden or visible again, until the function that it returns is called. Absent where there is no page. */
  watchHidden?(onChange: (hidden: boolean) => void): () => void;
  /** The way out of boxes for which the client names none, or the reason why they have none. */
  readonly wayOut: ChosenWayOut;
  /** Speaks TLS over a connection, as a client of the server of this name, whose certificate it verifies. Absent in pages. */
  encrypt?(connection: ByteConnection, serverName: string): Promise<ByteConnection>;
  /** Shows the server on a port of a box in this page, by the files of `boxrun preview` at a URL. Absent outside of pages. */
  openPreview?(
    connect: (options?: CallOptions) => Promise<Connection>,
    port: number,
    previewUrl: string,
  ): Promise<BackendPreview>;
  /** Checks that a directory can be a volume, and throws VALIDATION_ERROR when it cannot; or the reason why none can here. */
  readonly volumes: string | ((directory: DirectoryConfig) => Promise<void>);
  /** True where there are folders of a page; otherwise the reason why there are none. */
  readonly folders: true | string;
  /** Starts a Worker. `onFailure` is called when it could not start, or ended by itself. */
  startWorker(onMessage: (message: FromMachine) => void, onFailure: (error: Error) => void): MachineWorker;
}
