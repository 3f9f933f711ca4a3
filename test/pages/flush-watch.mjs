/**
 * Hears what guests say of their flushes, past the SDK, which tells nobody: in the frames between it and the Workers of its machines (wasm/agent/protocol.h).
 */
const HEADER_BYTES = 12;
const SETUP = 0x01;
/** EXIT and DONE are what a flush is due after. */
const EVENTS = new Map([
  [0x84, "began"],
  [0x85, "ended"],
  [0x91, "due"],
  [0x93, "due"],
]);

/**
 * A Worker as the given one is, that calls `say` with `{ box, flush }`, which is "due", "began" or "ended", before the SDK has the frames. The box is named by its host name. `listen` passes on what the Worker
 * posts.
 */
export function watched(Worker, listen, say) {
  return class extends Worker {
    #box = "";
    #frame = new Uint8Array(0);

    constructor(...args) {
      super(...args);
      listen(this, (message) => {
        if (Array.isArray(message)) for (const bytes of message) this.#hear(bytes);
      });
    }

    postMessage(message, transfer) {
      if (message instanceof Uint8Array && message[8] === SETUP) this.#box = hostnameOf(message);
      return super.postMessage(message, transfer);
    }

    #hear(bytes) {
      let rest = new Uint8Array(this.#frame.byteLength + bytes.byteLength);
      rest.set(this.#frame);
      rest.set(bytes, this.#frame.byteLength);
      while (rest.byteLength >= HEADER_BYTES) {
        const view = new DataView(rest.buffer, rest.byteOffset);
        const end = HEADER_BYTES + view.getUint32(0, true);
        if (rest.byteLength < end) break;
        const flush = EVENTS.get(rest[8]);
        // What the disk has refused is not stored.
        if (flush && (flush !== "ended" || view.getUint32(HEADER_BYTES, true) === 0))
          say({ box: this.#box, flush });
        rest = rest.subarray(end);
      }
      this.#frame = rest.slice();
    }
  };
}

/** Of SETUP: behind the clock and the entropy. */
function hostnameOf(setup) {
  const view = new DataView(setup.buffer, setup.byteOffset);
  const at = HEADER_BYTES + 8;
  const name = at + 4 + view.getUint32(at, true);
  return new TextDecoder().decode(setup.subarray(name + 4, name + 4 + view.getUint32(name, true)));
}
