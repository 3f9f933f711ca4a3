import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Has OpenSSL make an authority (ca.pem), a certificate of it for the names (cert.pem, key.pem), and one for them that it has not signed (self.pem). */
export async function makeCertificates(folder: string, names: readonly string[]): Promise<void> {
  const openssl = (...args: string[]) => run("openssl", args, { cwd: folder });
  const alternatives = `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`;
  const authority = ["-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=authority of a test"];
  await openssl(
    ...["req", "-x509", ...KEY, "-days", "2", ...authority, "-addext", "keyUsage=critical,keyCertSign"],
  );
  await openssl("req", ...KEY, "-keyout", "key.pem", "-out", "request.pem", "-subj", `/CN=${names[0]}`);
  writeFileSync(join(folder, "extensions"), `${alternatives}\nbasicConstraints=CA:FALSE\n`);
  const signed = ["-in", "request.pem", "-days", "2", "-extfile", "extensions"];
  await openssl(
    ...["x509", "-req", ...signed, "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"],
    ...["-out", "cert.pem"],
  );
  await openssl("x509", "-req", ...signed, "-signkey", "key.pem", "-out", "self.pem");
}
