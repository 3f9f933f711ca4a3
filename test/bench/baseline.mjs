/**
 * The same work as a user would do it by hand with plain v86: cold boot of the same kernel with the same memory, a shell on
 * the serial console, commands typed into it, output scraped from it. The same in Node and in a page.
 */
const MEMORY_BYTES = 1024 * 2 ** 20;
const CMDLINE =
  "console=ttyS0 tsc=reliable mitigations=off random.trust_cpu=on quiet root=/dev/sda rootfstype=erofs ro init=/bin/sh";
const STREAM_BYTES = 400_000;
const EXECS = 30;
const MB = 1_000_000;
const DOWNLOAD_MB = 4;

/**
 * @param {typeof import("v86").V86} V86
 * @param {object} files of the manifest
 * @param {(file: string) => Promise<Uint8Array>} loadFile one of the assets, inflated
 * @param {number | undefined} port that of an HTTP server of this machine: a download from it by v86's own network is measured instead
 */
export async function baseline(V86, files, loadFile, port) {
  const begun = performance.now();
  const names = ["v86.wasm", "bios", "vgabios", "kernel", "tiny.chunks"];
  const loaded = await Promise.all(names.map((name) => loadFile(files[name].file)));
  const [wasm, bios, vgaBios, kernel, list] = loaded;
  const disk = await loadImage(list, loadFile);
  const emulator = new V86({
    wasm_fn: async (env) => (await WebAssembly.instantiate(wasm, env)).instance.exports,
    memory_size: MEMORY_BYTES,
    vga_memory_size: 2 ** 20,
    bios: { buffer: bios.buffer },
    vga_bios: { buffer: vgaBios.buffer },
    bzimage: { buffer: kernel.buffer },
    hda: { buffer: disk.buffer },
    cmdline: CMDLINE,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
    ...(port !== undefined && { net_device: { type: "virtio", relay_url: "fetch" } }),
    autostart: true,
  });
  const serial = new Serial(emulator);
  await serial.until(/# $/);
  await serial.run("export PATH=/bin:/sbin:/usr/bin:/usr/sbin; echo hello");
  const first_output_ms = performance.now() - begun;
  if (port !== undefined) return download(serial, port);

  const execs = [];
  for (let i = 0; i < EXECS; i++) {
    const at = performance.now();
    // Not the builtin: a process, as exec starts one.
    await serial.run("/bin/true");
    execs.push(performance.now() - at);
  }
  const at = performance.now();
  const output = await serial.run(`head -c ${STREAM_BYTES} /dev/zero | tr '\\0' x`);
  const seconds = (performance.now() - at) / 1000;
  if (output.length < STREAM_BYTES) throw new Error(`${output.length} bytes of ${STREAM_BYTES} came`);
  await emulator.destroy();
  return { first_output_ms, execs, stdout_mb_s: STREAM_BYTES / 1e6 / seconds };
}

/** A file of a server on this machine, by HTTP, which is all that this network of v86's passes on. */
async function download(serial, port) {
  await serial.run(
    "mount -t proc proc /proc; ifconfig eth0 192.168.86.100 up; route add default gw 192.168.86.1",
  );
  const at = performance.now();
  const output = await serial.run(
    `wget -q -O - --header 'Host: ${port}.external' http://192.168.86.1/${DOWNLOAD_MB} | wc -c`,
  );
  const seconds = (performance.now() - at) / 1000;
  if (!output.includes(`${DOWNLOAD_MB * MB}`)) throw new Error(`the download failed: ${output}`);
  return { network_in_mb_s: DOWNLOAD_MB / seconds };
}

/** A shell on the serial console, its prompt watched for. */
class Serial {
  text = "";
  waiting;

  constructor(emulator) {
    this.emulator = emulator;
    emulator.add_listener("serial0-output-byte", (byte) => {
      this.text += String.fromCharCode(byte);
      // The prompt ends in a space: nothing else needs a look.
      if (byte === 32) this.waiting?.();
    });
  }

  /** Resolves to what came before the match, once it has come. */
  until(pattern) {
    return new Promise((resolve) => {
      this.waiting = () => {
        if (!pattern.test(this.text.slice(-64))) return;
        const text = this.text;
        this.text = "";
        this.waiting = undefined;
        resolve(text);
      };
      this.waiting();
    });
  }

  run(command) {
    const done = this.until(/# $/);
    this.emulator.serial0_send(`${command}\n`);
    return done;
  }
}

/** All of an image, from the list of its chunks: 36 bytes each, of which the first 10 are the file's name. */
async function loadImage(list, loadFile) {
  const chunks = [];
  for (let at = 0; at < list.byteLength; at += 36) {
    const name = [...list.subarray(at, at + 10)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    chunks.push(await loadFile(`chunks/${name}.bin`));
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}
