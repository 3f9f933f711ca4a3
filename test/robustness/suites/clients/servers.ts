import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Check, done, type Stage, sh, sha256 } from "./stage.js";

const run = promisify(execFile);
const FILES = 20;
const LARGE = randomBytes(1 << 20);
const HTTP_PORT = 8080;

const SITE = `server {
  listen 127.0.0.1:${HTTP_PORT};
  root /srv/www;
  gzip on;
  gzip_types text/plain;
  add_header x-connection $connection;
}
`;

/** Starts nginx and sshd in the shop, and gives the user a key for it. */
export async function startServers({ user, shop }: Stage): Promise<void> {
  await shop.files.write("/srv/www/large", LARGE);
  await shop.files.write("/srv/www/words.txt", "many words ".repeat(10_000));
  for (let i = 0; i < FILES; i++) await shop.files.write(`/srv/www/${i}.txt`, `${i} `.repeat(2000));
  await shop.files.write("/etc/nginx/conf.d/site.conf", SITE);
  await done(shop, "rm -f /etc/nginx/sites-enabled/default && nginx -t");
  await shop.spawn("nginx", ["-g", "daemon off;"], { detached: true });
  await done(
    user,
    "mkdir -m 700 -p .ssh; test -f .ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519",
  );
  const key = await done(user, "cat .ssh/id_ed25519.pub");
  await shop.files.write("/root/.ssh/authorized_keys", key, { mode: 0o600 });
  await done(shop, "chmod 700 .ssh && mkdir -p /run/sshd");
  await shop.spawn("/usr/sbin/sshd", ["-D", "-e"], { detached: true });
  await shop.ports.waitFor(22);
  await shop.ports.waitFor(HTTP_PORT);
}

const SSH = "-o StrictHostKeyChecking=accept-new -o BatchMode=yes";

/** Checks of ssh and sshd, from box to box and from this machine. */
export const SSH_CHECKS: Check[] = [
  {
    name: "ssh: a command in the other box, its output, input and exit code",
    async run({ user }) {
      await done(user, `ssh ${SSH} root@shop true`);
      assert.equal(await done(user, "ssh root@shop hostname"), "shop\n");
      assert.equal(
        await done(user, `echo letters | ssh ${SSH} root@shop.internal tr a-z A-Z 2> /dev/null`),
        "LETTERS\n",
      );
      assert.equal((await sh(user, "ssh root@shop exit 7")).code, 7);
    },
  },
  {
    name: "ssh: without a key it is refused",
    async run({ user }) {
      const { out, code } = await sh(
        user,
        `ssh ${SSH} -o IdentityFile=/dev/null -o IdentitiesOnly=yes root@shop`,
      );
      assert.equal(code, 255);
      assert.match(out, /Permission denied \(publickey/);
    },
  },
  {
    name: "scp: 1 MB there and back, whose hash is right",
    async run({ user, shop }) {
      const file = randomBytes(1 << 20);
      await user.files.write("/root/file", file);
      await done(user, `scp -q ${SSH} file root@shop:/root/sent && scp -q root@shop:/root/sent back`);
      assert.equal(sha256(await shop.files.read("/root/sent")), sha256(file));
      assert.equal(sha256(await user.files.read("/root/back")), sha256(file));
    },
  },
  {
    name: "ssh -L: a forwarded port leads to nginx",
    async run({ user }) {
      const forward = `-L 9000:127.0.0.1:${HTTP_PORT} -o ExitOnForwardFailure=yes`;
      await done(user, `ssh ${SSH} -f -N -M -S /tmp/control ${forward} root@shop`);
      const out = await done(user, "wget -q -O - http://127.0.0.1:9000/large | sha256sum");
      await done(user, "ssh -S /tmp/control -O exit root@shop");
      assert.equal(out, `${sha256(LARGE)}  -\n`);
    },
  },
  {
    name: "ssh: from this machine by box.forward, with scp of 1 MB",
    async run({ user, shop, folder }) {
      const key = join(folder, "id_ed25519");
      await writeFile(key, await user.files.read("/root/.ssh/id_ed25519"), { mode: 0o600 });
      const sent = join(folder, "sent");
      await writeFile(sent, LARGE);
      const { hostPort, close } = await shop.forward(22);
      try {
        const options = [
          ...["-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"],
          ...["-o", "StrictHostKeyChecking=no", "-o", `UserKnownHostsFile=${join(folder, "known")}`],
          ...["-o", "LogLevel=ERROR"],
        ];
        const ssh = (command: string) =>
          run("ssh", [...options, "-p", String(hostPort), "root@127.0.0.1", command]);
        assert.equal((await ssh("uname -n")).stdout, "shop\n");
        await assert.rejects(ssh("exit 7"), { code: 7 });
        await run("scp", ["-q", ...options, "-P", String(hostPort), sent, "root@127.0.0.1:/root/from-host"]);
        const back = join(folder, "back");
        await run("scp", ["-q", ...options, "-P", String(hostPort), "root@127.0.0.1:/root/from-host", back]);
        assert.equal(sha256(await readFile(back)), sha256(LARGE));
        assert.equal(sha256(await shop.files.read("/root/from-host")), sha256(LARGE));
      } finally {
        await close();
        await rm(key);
      }
    },
  },
];

/** Checks of nginx, from this machine and from the other box. */
export const NGINX: Check[] = [
  {
    name: "nginx: 1 MB by box.fetch, whose hash is right",
    async run({ shop }) {
      const response = await shop.fetch(HTTP_PORT, "/large");
      assert.match(response.headers.get("server") ?? "", /^nginx/);
      assert.equal(sha256(Buffer.from(await response.arrayBuffer())), sha256(LARGE));
    },
  },
  {
    name: "nginx: a range, 304, 404 and HEAD by box.fetch",
    async run({ shop }) {
      const range = await shop.fetch(HTTP_PORT, "/large", { headers: { range: "bytes=1000-4999" } });
      assert.equal(range.status, 206);
      assert.equal(sha256(Buffer.from(await range.arrayBuffer())), sha256(LARGE.subarray(1000, 5000)));
      const head = await shop.fetch(HTTP_PORT, "/large", { method: "HEAD" });
      assert.equal(head.headers.get("content-length"), String(LARGE.length));
      const etag = head.headers.get("etag")!;
      const again = await shop.fetch(HTTP_PORT, "/large", { headers: { "if-none-match": etag } });
      assert.equal(again.status, 304);
      assert.equal((await shop.fetch(HTTP_PORT, "/none")).status, 404);
    },
  },
  {
    name: "nginx: a text that it compresses, by box.fetch",
    async run({ shop }) {
      const response = await shop.fetch(HTTP_PORT, "/words.txt", { headers: { "accept-encoding": "gzip" } });
      assert.equal(await response.text(), "many words ".repeat(10_000));
    },
  },
  {
    name: `nginx: ${FILES} files at once by box.fetch`,
    async run({ shop }) {
      const texts = await Promise.all(
        Array.from({ length: FILES }, async (_, i) => (await shop.fetch(HTTP_PORT, `/${i}.txt`)).text()),
      );
      for (const [i, text] of texts.entries()) assert.equal(text, `${i} `.repeat(2000));
    },
  },
  {
    name: `nginx: ${FILES} files on one kept connection by box.forward`,
    async run({ shop }) {
      const { hostPort, close } = await shop.forward(HTTP_PORT);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      try {
        const connections = new Set<string>();
        for (let i = 0; i < FILES; i++) {
          const { text, connection } = await getText(agent, hostPort, `/${i}.txt`);
          assert.equal(text, `${i} `.repeat(2000));
          connections.add(connection);
        }
        assert.equal(connections.size, 1);
      } finally {
        agent.destroy();
        await close();
      }
    },
  },
  {
    name: "nginx: 1 MB for wget in the other box, though it listens on its loopback",
    async run({ user }) {
      const out = await done(user, `wget -q -O - http://shop:${HTTP_PORT}/large | sha256sum`);
      assert.equal(out, `${sha256(LARGE)}  -\n`);
    },
  },
];

/** Gets a text over an agent's connections, and the number that nginx gave to the connection. */
function getText(agent: Agent, port: number, path: string): Promise<{ text: string; connection: string }> {
  return new Promise((resolve, reject) => {
    get({ agent, port, path, host: "127.0.0.1" }, async (response) => {
      let text = "";
      for await (const part of response.setEncoding("latin1")) text += part;
      resolve({ text, connection: String(response.headers["x-connection"]) });
    }).on("error", reject);
  });
}
