/** A page of test/runtimes whose boxes are on a network by the page's own fetch. It reports what came of their requests. */
import { BoxRunClient } from "boxrun";

const { assets, servers, more } = await (await fetch("/settings")).json();
const real = globalThis.fetch;

/** Names of the tests lead to servers on this machine, which answer to pages as they do, by themselves. All else is the page's own. */
globalThis.fetch = (input, init) => {
  const { origin, href } = new URL(input instanceof Request ? input.url : input, location.href);
  return servers[origin] ? real(servers[origin] + href.slice(origin.length), init) : real(input, init);
};

const PYTHON = `import ssl, urllib.request as u
assert ssl.create_default_context().verify_flags & ssl.VERIFY_X509_STRICT
print(u.urlopen("https://api.example.com/hello", timeout=60).read().decode(), end="")`;
const BODIES = `cd /tmp
for size in 0 1 5000000; do
  head -c $size /dev/urandom > body
  want="$size bytes $(sha256sum < body | cut -c1-64)"
  for scheme in http https; do
    for method in POST PUT; do
      for way in "" "Transfer-Encoding: chunked"; do
        got=$(curl -sS -X $method -H "Content-Type:" -H "$way" --data-binary @body $scheme://api.example.com/body)
        [ "$got" = "$want by $method" ] && echo "$scheme $method $size$way" || echo "$method $size $way: $got instead of $want"
      done
    done
  done
done`;
const INDEX = "https://index.example.com/simple";
/** A request with the headers that pip sends to an index. */
const AS_PIP = `curl -sS -A pip/25.1.1 -H 'Cache-Control: max-age=0' -H 'Accept: application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01' ${INDEX}/greet/`;
const PIP = `pip install --index-url ${INDEX} --no-cache-dir --no-compile --disable-pip-version-check --require-hashes -r wheel.txt`;

/** Runs a command in a box. Returns what it printed, with its exit code when it has failed. */
async function said(box, command) {
  const { stdout, exitCode } = await box.exec(command, { stderr: "stdout", timeoutMs: 150_000 });
  return exitCode === 0 ? stdout : `${stdout}exit code ${exitCode}`;
}

async function run() {
  const client = new BoxRunClient({ backend: "local", local: { persistent: false, assets } });
  const { wayOut, capabilities } = await client.info();
  const results = { wayOut, network: capabilities.network };

  const tiny = await client.create("tiny", { memoryMb: 256, network: true });
  results["wget"] = await said(tiny, "wget -q -O - http://api.example.com/hello");
  results["wget, a site that lets no page read it"] = await said(
    tiny,
    "wget -q -O - http://closed.example.com/hello",
  );
  results["wget, another port"] = await said(tiny, "wget -q -O - http://api.example.com:22/");
  results["log"] = (await tiny.network.log()).map(({ host, port, verdict, rule }) =>
    [verdict, host, port, rule].join(" "),
  );
  await tiny.remove({ force: true });

  const secrets = { API_KEY: { value: "the-real-value", hosts: ["api.example.com"] } };
  const network = { deny: ["denied.example.com"] };
  const box = await client.create("debian", { network, secrets });
  results["curl"] = await said(box, "curl -sS http://api.example.com/hello");
  results["curl, https"] = await said(box, "curl -sS https://api.example.com/hello");
  results["curl, without variables"] = await said(box, "env -i curl -sS https://api.example.com/hello");
  results["authorities"] = await said(box, "printenv SSL_CERT_FILE; grep -c BEGIN $SSL_CERT_FILE");
  results["curl, an upload"] = await said(
    box,
    "head -c 3000000 /dev/zero | curl -sS -T - https://api.example.com/upload",
  );
  // By its length and in chunks, of which no body of a page's own request is made.
  results["bodies"] = await said(box, BODIES);
  results["curl, a site that lets no page read it"] = await said(
    box,
    "curl -sS -w '%{http_code}' https://closed.example.com/hello",
  );
  results["curl, nobody there"] = await said(
    box,
    "curl -sS -o /dev/null -w '%{http_code}' http://down.example.com/",
  );
  results["curl, denied"] = await said(box, "curl -sS https://denied.example.com/");
  results["curl, a secret"] = await said(
    box,
    'curl -sS -H "Authorization: Bearer $API_KEY" https://api.example.com/who',
  );
  results["curl, a redirect"] = await said(
    box,
    "curl -sS -o /dev/null -w '%{http_code}' https://api.example.com/away",
  );
  results["python"] = await said(box, ["python3", "-c", PYTHON]);
  results["curl, as pip asks"] = await said(box, `${AS_PIP} | grep -o greet-1.0-py3-none-any.whl | sort -u`);
  if (more.includes("pip")) Object.assign(results, await runPip(box));
  await client.close();
  return results;
}

/** Installs a wheel by its hash, and imports it. */
async function runPip(box) {
  const { hash } = await (await real(`${servers["https://index.example.com"]}/hash`)).json();
  await box.files.write("/root/wheel.txt", `greet==1.0 --hash=sha256:${hash}\n`);
  const installed = await said(box, `cd /root && ${PIP} && python3 -c 'import greet'`);
  const pip = installed.trimEnd().split("\n").at(-1);
  return { pip, ...(!/hello/.test(pip) && { "pip's words": installed }) };
}

const report = await run().catch((error) => ({ error: String(error) }));
await real("/report", { method: "POST", body: JSON.stringify(report) });
