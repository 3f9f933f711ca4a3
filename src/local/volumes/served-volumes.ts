import { Mount, type OpenedVolume } from "./mount.js";
import { NinePServer, type NinePServerOptions } from "./nine-p-server.js";
import type { VolumeAnswer, VolumeCall } from "./volume-calls.js";
import { VolumeService } from "./volume-service.js";

/** The volumes of a machine, as the guest mounts them and as `box.files` uses them. */
export class ServedVolumes {
  private readonly mount: Mount;
  private readonly server: NinePServer;
  private readonly service: VolumeService;

  /** Takes over the volumes, to close them. */
  constructor(volumes: readonly OpenedVolume[], options?: NinePServerOptions) {
    this.mount = new Mount(volumes);
    this.server = new NinePServer(this.mount, options);
    this.service = new VolumeService(this.mount);
  }

  /** Answers a request of the guest, once. The array belongs to the server. */
  handle(request: Uint8Array, reply: (answer: Uint8Array) => void): void {
    this.server.handle(request, reply);
  }

  /** Performs a call of `box.files`. Never rejects. */
  call(call: VolumeCall): Promise<VolumeAnswer> {
    return this.service.call(call);
  }

  /** Ends all that is open, and closes the volumes. */
  close(): void {
    this.service.close();
    this.mount.close();
  }
}
