// SPDX-License-Identifier: Apache-2.0
// filtered.test.mjs - the filtered network: test hosts on loopback, reached by names that the host's
// settings fix, through the address guard that the same settings open for them.
import http from "node:http";

import { assert, cgroupParent, finish, isol8, test } from "./harness.mjs";

const { DockerIsol8, configureHost } = isol8;

const origin = http.createServer((request, response) => {
  response.end(`${request.headers.host} ${request.url}`);
});
await new Promise((resolve) => origin.listen(0, "127.0.0.1", resolve));
const { port } = origin.address();
await configureHost({
  cgroupParent,
  network: {
    hosts: { "api.test": "127.0.0.1", "other.test": ["127.0.0.1"] },
    allowAddresses: ["127.0.0.1/32"],
  },
});

const fetchBoth = `
import urllib.request
for name in "api.test", "other.test":
    try:
        print(urllib.request.urlopen("http://%s:${port}/a" % name).read().decode())
    except Exception as e:
        print(name, e)`;

test("allowed is served, blocked is 403; the log and the events say so", async () => {
  const engine = new DockerIsol8({
    network: "filtered",
    networkFilter: { whitelist: ["^api\\.test$"] },
    logNetwork: true,
  });
  const result = await engine.execute({ runtime: "python", code: fetchBoth });
  assert.equal(result.stdout, `api.test:${port} /a\nother.test HTTP Error 403: Forbidden`);
  assert.deepEqual(
    result.networkLogs.map((entry) => [entry.host, entry.action]),
    [
      ["api.test", "ALLOW"],
      ["other.test", "BLOCK"],
    ],
  );
  assert.equal(result.securityEvents.length, 1);
  assert.equal(result.securityEvents[0].type, "network_blocked");
});

test("a blacklist alone lets the rest through, without a log nobody asked for", async () => {
  const engine = new DockerIsol8({
    network: "filtered",
    networkFilter: { blacklist: ["^other\\."] },
  });
  const result = await engine.execute({ runtime: "python", code: fetchBoth });
  assert.equal(result.stdout, `api.test:${port} /a\nother.test HTTP Error 403: Forbidden`);
  assert.equal(result.networkLogs, undefined);
});

// Node's executable exports a c-ares of its own; the library's must not end up in it.
test("names are looked up by the library's own resolver", async () => {
  const engine = new DockerIsol8({
    network: "filtered",
    networkFilter: { whitelist: ["^localhost$", "^no-such-name\\.invalid$"] },
  });
  const cmd = `
    curl -s --noproxy '' -x "$HTTP_PROXY" http://localhost:${port}/by-name; echo
    curl -s -x "$HTTP_PROXY" -o /dev/null -w '%{http_code}' http://no-such-name.invalid/`;
  const result = await engine.execute({ runtime: "bash", cmd });
  assert.equal(result.stdout, `localhost:${port} /by-name\n502`);
});

test("network none reaches nothing", async () => {
  const engine = new DockerIsol8();
  const cmd = `curl -s -m 5 http://127.0.0.1:${port}/; echo $?`;
  assert.equal((await engine.execute({ runtime: "bash", cmd })).stdout, "7");
});

await finish();
origin.close();
