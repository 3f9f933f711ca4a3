import { type BoxHandle, BoxRunClient } from "boxrun";
import { afterAll, beforeAll, expect, it } from "vitest";

let client: BoxRunClient;
let box: BoxHandle;
beforeAll(async () => {
  client = new BoxRunClient({ backend: "local", local: { persistent: false } });
  box = await client.create("debian");
});
afterAll(() => client?.close());

const LONG_MS = 300_000;

/** Makes a repository that offers empty packages of these names, newer than ours. */
const NEWER = `set -e
mkdir -p /srv/newer && cd /srv/newer
for name in "$@"; do
  mkdir -p $name/DEBIAN
  printf 'Package: %s\\nVersion: 99:1\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n' $name > $name/DEBIAN/control
  dpkg-deb -b $name > /dev/null
  { cat $name/DEBIAN/control; echo "Filename: ./$name.deb"; stat -c 'Size: %s' $name.deb; sha256sum $name.deb | sed 's/ .*//;s/^/SHA256: /'; echo; } >> Packages
done
echo 'deb [trusted=yes] file:/srv/newer ./' > /etc/apt/sources.list.d/newer.list
mv /etc/apt/sources.list /root/
apt-get update`;

it("what needs the very version of Python finds it in the image", { timeout: LONG_MS }, async () => {
  await box.exec("DEBIAN_FRONTEND=noninteractive apt-get install -y libpython3.13", { check: true });
  const program = `import ctypes
library = ctypes.PyDLL("libpython3.13.so.1.0")
library.Py_GetVersion.restype = ctypes.c_char_p
print(library.Py_GetVersion().decode().split()[0])`;
  const version = await box.exec("python3 -c 'import platform; print(platform.python_version())'");
  expect((await box.exec(["python3", "-c", program], { check: true })).stdout).toBe(version.stdout);
  const development = await box.exec("apt-cache policy python3.13-dev libpython3.13-dev", { check: true });
  expect(development.stdout.match(/Candidate: .*\+sse2boxrun\d+$/gm)).toHaveLength(2);
});

it("an upgrade takes newer packages, and leaves those that were built for the emulator", {
  timeout: LONG_MS,
}, async () => {
  const installed = await box.exec("dpkg -l | awk '$3 ~ /boxrun/ { print $2 }'", { check: true });
  const ours = installed.stdout
    .trimEnd()
    .split("\n")
    .map((name) => name.replace(/:.*/, ""));
  expect(ours.length).toBeGreaterThan(8);
  expect(ours).toContain("boxrun-libm");
  await box.exec(["sh", "-c", NEWER, "sh", ...ours, "hostname"], { check: true });
  const { stdout } = await box.exec("apt-get -s -y dist-upgrade", { check: true });
  expect(stdout.match(/^Inst .*$/gm)?.map((line) => line.split(" ")[1])).toEqual(["hostname"]);
});

/** Installs an openssl that is newer, with another configuration and the link to it, as an upgrade of Debian's does. */
const NEWER_OPENSSL = `set -e
mkdir -p /srv/openssl/DEBIAN /srv/openssl/etc/ssl /srv/openssl/usr/lib/ssl && cd /srv/openssl
printf 'Package: openssl\nVersion: 99\nArchitecture: i386\nMaintainer: x\nDescription: x\n' > DEBIAN/control
echo /etc/ssl/openssl.cnf > DEBIAN/conffiles
{ cat /etc/ssl/openssl.cnf; echo '# newer'; } > etc/ssl/openssl.cnf
ln -s /etc/ssl/openssl.cnf usr/lib/ssl/openssl.cnf
dpkg-deb -b . /srv/openssl.deb > /dev/null
dpkg -i /srv/openssl.deb < /dev/null`;

it("OpenSSL prefers ChaCha20 after an upgrade, too, until the user says otherwise", async () => {
  const preferred = async () => {
    const program = "import ssl; print(*[c['name'] for c in ssl.create_default_context().get_ciphers()[:3]])";
    return (await box.exec(["python3", "-c", program], { check: true })).stdout.split(/\s/).slice(0, 3);
  };
  await box.exec(NEWER_OPENSSL, { check: true });
  expect((await box.exec("tail -n 1 /etc/ssl/openssl.cnf")).stdout).toBe("# newer\n");
  const fast = ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"];
  expect(await preferred()).toEqual(fast);
  const own = "[system_default_sect]\\nCiphersuites = TLS_AES_256_GCM_SHA384\\nCipherString = AES128-SHA\\n";
  await box.exec(`printf '${own}' >> /etc/ssl/openssl.cnf`, { check: true });
  expect(await preferred()).toEqual(["TLS_AES_256_GCM_SHA384", "AES128-SHA", ""]);
});
