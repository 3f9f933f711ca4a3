import { strict as assert } from "node:assert";
import { git } from "./git-server.js";
import { type Check, done, python, sh, sha256 } from "./stage.js";
import { FILE } from "./world-servers.js";

/** Checks of git, wget and nc. */
export const FETCHING: Check[] = [
  {
    name: "git: clones by smart HTTP, and fsck finds nothing",
    async run({ user, folder }) {
      await done(user, "git clone -q http://git.example.com/project.git /root/project");
      const out = await done(user, "cd /root/project && git fsck --full --strict && git rev-parse HEAD");
      assert.equal(
        out.trim().split("\n").at(-1),
        (await git(`${folder}/git/work`, "rev-parse", "HEAD")).trim(),
      );
      assert.equal(
        await done(user, "cd /root/project && git status --porcelain && ls many | wc -l"),
        "200\n",
      );
    },
  },
  {
    name: "git: clones with --depth 1",
    async run({ user }) {
      await done(user, "git clone -q --depth 1 http://git.example.com/project.git /root/shallow");
      assert.equal(await done(user, "cd /root/shallow && git rev-list --count HEAD"), "1\n");
    },
  },
  {
    name: "git: fetches what is new",
    async run({ user, folder }) {
      const work = `${folder}/git/work`;
      await git(work, "commit", "-q", "--allow-empty", "-m", "A new one");
      await git(work, "push", "-q", "../project.git", "main");
      const head = (await git(work, "rev-parse", "HEAD")).trim();
      assert.equal(
        await done(user, "cd /root/project && git fetch -q && git rev-parse origin/main"),
        `${head}\n`,
      );
    },
  },
  {
    name: "git: pushes 3 MB",
    async run({ user, folder }) {
      const author = "-c user.name=Box -c user.email=box@example.com";
      const pushed = await done(
        user,
        `cd /root/project && git checkout -q -b box && head -c 3000000 /dev/urandom > new && git add new &&
        git ${author} commit -q -m 'From the box' && git push -q origin box && git rev-parse HEAD`,
      );
      const bare = `${folder}/git/project.git`;
      assert.equal((await git(bare, "rev-parse", "box")).trim(), pushed.trim());
      assert.equal((await git(bare, "cat-file", "-s", "box:new")).trim(), "3000000");
      await git(bare, "fsck", "--full", "--strict");
    },
  },
  {
    name: "git: says that there is no such repository, name or server",
    async run({ user }) {
      const attempt = async (url: string, says: RegExp) => {
        const { out, code } = await sh(user, `git clone ${url} /root/none`);
        assert.equal(code, 128);
        assert.match(out, says);
      };
      await attempt("http://git.example.com/none.git", /repository .* not found/);
      await attempt("http://nowhere.example.com/a.git", /Could not resolve host/);
      await attempt("http://git.example.com:81/a.git", /Failed to connect to git.example.com port 81/);
    },
  },
  {
    name: "wget: a file, whose hash is right",
    async run({ user }) {
      const out = await done(user, "wget -q -O - http://web.example.com/file | sha256sum");
      assert.equal(out, `${sha256(FILE)}  -\n`);
    },
  },
  {
    name: "wget: follows a redirect, and goes on with half a file (-c)",
    async run({ user }) {
      const out = await done(
        user,
        `cd /tmp && wget -q -O half http://web.example.com/moved && truncate -s 500000 half &&
        wget -c -O half http://web.example.com/file 2>&1 && sha256sum half`,
      );
      assert.match(out, /206 Partial Content/);
      assert.ok(out.endsWith(`${sha256(FILE)}  half\n`));
    },
  },
  {
    name: "wget: https, with the authority's certificate and without",
    async run({ user }) {
      const url = "https://web.example.com/file";
      const out = await done(user, `wget -q --ca-certificate=/root/ca.pem -O - ${url} | sha256sum`);
      assert.equal(out, `${sha256(FILE)}  -\n`);
      assert.equal((await sh(user, `wget -q -O - ${url}`)).code, 5);
    },
  },
  {
    name: "wget: the exit codes for a page that is missing, a closed port and a name that does not exist",
    async run({ user }) {
      for (const [url, code] of [
        ["web.example.com/missing", 8],
        ["web.example.com:81", 4],
        ["nowhere.example.com", 4],
      ] as const)
        assert.equal((await sh(user, `wget -q -t 1 -O - http://${url}`)).code, code, url);
    },
  },
  {
    name: "nc -z: 0 for an open port, 1 for a closed one, a silent host and a denied address",
    async run({ user }) {
      for (const [where, code] of [
        ["web.example.com 80", 0],
        ["web.example.com 81", 1],
        ["silent.example.com 80", 1],
        ["10.0.0.1 80", 1],
        ["shop 8080", 0],
        ["shop 81", 1],
      ] as const)
        assert.equal((await sh(user, `nc -z -w 3 ${where}`)).code, code, where);
      const { out } = await sh(user, "nc -z -v -w 3 web.example.com 79-81");
      assert.match(out, /port 79 .* failed: Connection refused/);
      assert.match(out, /80 port .* succeeded/);
    },
  },
  {
    name: "nc -N: half-close, and all of 8 MB back",
    async run({ user }) {
      const out = await done(
        user,
        `head -c 8000000 /dev/urandom > /tmp/sent && nc -N echo.example.com 7 < /tmp/sent > /tmp/back && cmp /tmp/sent /tmp/back && echo same`,
      );
      assert.equal(out, "same\n");
    },
  },
];

/** Checks of Python's requests. */
export const REQUESTS: Check[] = [
  {
    name: "requests: five requests of a session on one connection",
    async run({ user }) {
      const out = await python(
        user,
        `
import requests
with requests.Session() as session:
    answers = [session.post("http://web.example.com/", data="x" * i) for i in range(5)]
print([a.text.split()[0] for a in answers], len({a.headers["x-connection"] for a in answers}))
`,
      );
      assert.equal(out, "['0', '1', '2', '3', '4'] 1\n");
    },
  },
  {
    name: "requests: uploads 8 MB from a generator, whose hash is right",
    async run({ user }) {
      const out = await python(
        user,
        `
import hashlib, os, requests
sent = hashlib.sha256()
def parts():
    for _ in range(128):
        part = os.urandom(62500)
        sent.update(part)
        yield part
answer = requests.put("http://web.example.com/", data=parts())
print(answer.text == f"8000000 {sent.hexdigest()}\\n")
`,
      );
      assert.equal(out, "True\n");
    },
  },
  {
    name: "requests: downloads 16 files of 1 MB as streams, four at a time, whose hashes are right",
    async run({ user }) {
      const out = await python(
        user,
        `
import hashlib, requests
from concurrent.futures import ThreadPoolExecutor
def fetch(_):
    got = hashlib.sha256()
    with requests.get("http://web.example.com/file", stream=True) as answer:
        for part in answer.iter_content(10000): got.update(part)
    return got.hexdigest()
with ThreadPoolExecutor(4) as pool: print(*set(pool.map(fetch, range(16))))
`,
      );
      assert.equal(out, `${sha256(FILE)}\n`);
    },
  },
  {
    name: "requests: its own exceptions for timeouts, refusals, denials and cut answers",
    async run({ user }) {
      const out = await python(
        user,
        `
import requests
def attempt(url):
    try: return requests.get(url, timeout=(3, 3)).status_code
    except requests.exceptions.RequestException as error: return type(error).__name__
for url in ("web.example.com/missing", "silent.example.com", "mute.example.com", "web.example.com:81", "10.0.0.1", "nowhere.example.com", "cut.example.com"):
    print(url, attempt("http://" + url))
`,
      );
      assert.deepEqual(out.trim().split("\n"), [
        "web.example.com/missing 404",
        "silent.example.com ConnectTimeout",
        "mute.example.com ReadTimeout",
        "web.example.com:81 ConnectionError",
        "10.0.0.1 ConnectionError",
        "nowhere.example.com ConnectionError",
        "cut.example.com ChunkedEncodingError",
      ]);
    },
  },
  {
    name: "requests: https is verified against the authority that is given, and refused without",
    async run({ user }) {
      const out = await python(
        user,
        `
import hashlib, requests
url = "https://web.example.com/file"
print(hashlib.sha256(requests.get(url, verify="/root/ca.pem").content).hexdigest())
try: requests.get(url)
except requests.exceptions.SSLError: print("SSLError")
`,
      );
      assert.equal(out, `${sha256(FILE)}\nSSLError\n`);
    },
  },
];
