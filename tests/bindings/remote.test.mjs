// SPDX-License-Identifier: Apache-2.0
// remote.test.mjs - code from a URL: a test host on loopback, named and let through by the host's
// settings; the policy decides, and a hash that is not the code's runs nothing.
import { createHash } from "node:crypto";
import http from "node:http";

import { assert, cgroupParent, finish, isol8, test } from "./harness.mjs";

const { DockerIsol8, configureHost } = isol8;

const code = "print('from afar')\n";
const hash = createHash("sha256").update(code).digest("hex");
let requests = 0;
const origin = http.createServer((request, response) => {
  requests++;
  response.writeHead(request.url === "/hello.py" ? 200 : 404);
  response.end(request.url === "/hello.py" ? code : "");
});
await new Promise((resolve) => origin.listen(0, "127.0.0.1", resolve));
const { port } = origin.address();
await configureHost({
  cgroupParent,
  network: {
    hosts: { "code.test": "127.0.0.1" },
    allowAddresses: ["127.0.0.1/32"],
    ports: [port],
  },
});

const url = `http://code.test:${port}/hello.py`;
const policy = {
  enabled: true,
  allowedSchemes: ["http"],
  allowedHosts: ["^code\\.test$"],
  enableCache: false,
};
const request = { runtime: "python", codeUrl: url, allowInsecureCodeUrl: true };

test("code is fetched and run, buffered and streamed", async () => {
  const engine = new DockerIsol8({ image: "host", remoteCode: policy });
  const result = await engine.execute({ ...request, codeHash: hash.toUpperCase() });
  assert.equal(result.stdout, "from afar");
  let out = "";
  for await (const event of engine.executeStream(request)) {
    out += event.type === "stdout" ? event.data : "";
  }
  assert.equal(out, "from afar\n");
  assert.equal(requests, 2);
  await engine.stop();
});

test("what the policy does not allow is not fetched, and a wrong hash runs nothing", async () => {
  const cases = [
    [undefined, {}, "Remote code fetching is disabled. Set remoteCode.enabled=true to allow it."],
    [{ ...policy, allowedSchemes: ["https"] }, {}, "URL scheme not allowed: http"],
    [{ ...policy, blockedHosts: ["test"] }, {}, "Blocked code URL host: code.test"],
    [policy, { allowInsecureCodeUrl: false }, /^Insecure code URL blocked\./],
    [{ ...policy, requireHash: true }, {}, /^Hash verification required/],
    [policy, { codeHash: "0".repeat(64) }, "Remote code hash mismatch"],
    [policy, { codeUrl: `http://code.test:${port}/none` }, "Failed to fetch remote code: HTTP 404"],
    [{ ...policy, maxCodeSize: 5 }, {}, /^Remote code exceeds maxCodeSize \(5 bytes\)/],
  ];
  for (const [remoteCode, more, message] of cases) {
    const engine = new DockerIsol8({ image: "host", remoteCode });
    await assert.rejects(engine.execute({ ...request, ...more }), { message });
    await engine.stop();
  }
});

await finish();
origin.close();
