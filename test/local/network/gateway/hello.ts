const u16 = (...values: number[]) => values.flatMap((value) => [value >> 8, value & 255]);
const sized = (bytes: readonly number[]) => [...u16(bytes.length), ...bytes];
const ascii = (text: string) => Array.from(text, (char) => char.charCodeAt(0));
const extension = (id: number, bytes: readonly number[]) => [...u16(id), ...sized(bytes)];

/** The "client hello" of TLS 1.3 with all that is read of it, for a server of this name, a character for each byte. Undefined: it names none. */
export function clientHello(name: string | undefined, suite = 0x1303): Uint8Array {
  const extensions = [
    ...(name === undefined ? [] : extension(0, sized([0, ...sized(ascii(name))]))),
    ...extension(10, sized(u16(0x001d, 0x0017))),
    ...extension(13, sized(u16(0x0403, 0x0804))),
    ...extension(16, sized([8, ...ascii("http/1.1")])),
    ...extension(43, [2, 3, 4]),
    ...extension(51, sized([...u16(0x001d), ...sized(Array(32).fill(9))])),
  ];
  const suites = u16(suite, 0x1302);
  return Uint8Array.from([3, 3, ...Array(32).fill(7), 0, ...sized(suites), 1, 0, ...sized(extensions)]);
}

/** The same as a record, as it is sent. */
export function helloRecord(name: string | undefined): Uint8Array {
  const hello = clientHello(name);
  const message = [1, 0, ...u16(hello.byteLength), ...hello];
  return Uint8Array.from([22, 3, 1, ...sized(message)]);
}
