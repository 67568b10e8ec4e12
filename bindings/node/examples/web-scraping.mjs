// SPDX-License-Identifier: Apache-2.0
// web-scraping.mjs - programs that may reach some hosts and not others
//
//   node web-scraping.mjs        (as root, with the package installed)
//
// The hosts are servers of this very program, under names that configureHost() fixes, so that the
// example runs anywhere. With real hosts, leave that part out: the rest stays as it is.
import http from "node:http";

import { configureHost, DockerIsol8 } from "isol8";

// ---- Stand-ins for the world -------------------------------------------------------------------

const repositories = { "/repos/a/one": 42, "/repos/b/two": 7, "/repos/c/three": 99 };

const world = http.createServer((request, response) => {
  const [host] = request.headers.host.split(":");
  if (host === "llm.test") {
    response.end(JSON.stringify({ answer: `you sent ${request.headers.authorization}` }));
  } else if (host === "wiki.test") {
    response.end("<html><body><p class='empty'></p><p>Containers, <b>explained</b>.</p></body></html>");
  } else {
    const name = request.url.replace("/repos/", "");
    response.end(JSON.stringify({ full_name: name, stars: repositories[request.url] ?? 0 }));
  }
});
await new Promise((resolve) => world.listen(0, "127.0.0.1", resolve));
const { port } = world.address();

await configureHost({
  network: {
    hosts: {
      "api.test": "127.0.0.1",
      "wiki.test": "127.0.0.1",
      "llm.test": "127.0.0.1",
      "evil.test": "127.0.0.1",
      "shop.evil-tld": "127.0.0.1",
    },
    allowAddresses: ["127.0.0.1/32"],
  },
});

// ---- Only some hosts ---------------------------------------------------------------------------

const isol8 = new DockerIsol8(
  {
    mode: "ephemeral",
    network: "filtered",
    networkFilter: { whitelist: ["^api\\.test$", "^.*wiki\\.test$"] },
    memoryLimit: "512m",
    timeoutMs: 60000,
  },
  3, // at most three at once, so at most three requests at once
);

await isol8.start();

const stars = await isol8.execute({
  runtime: "python",
  code: `
import json, urllib.request
repo = json.loads(urllib.request.urlopen("http://api.test:${port}/repos/a/one").read())
print(f"{repo['full_name']} has {repo['stars']} stars")`,
});
console.log(stars.stdout);

const blocked = await isol8.execute({
  runtime: "python",
  code: `
import urllib.request
try:
    urllib.request.urlopen("http://evil.test:${port}/take")
except Exception as error:
    print("Blocked:", error)`,
});
console.log(blocked.stdout);

// ---- Packages, installed for one execution: their hosts are open only meanwhile ----------------

if (!process.argv.includes("--offline")) {
  const scraped = await isol8.execute({
    runtime: "python",
    installPackages: ["requests", "beautifulsoup4"],
    code: `
import requests
from bs4 import BeautifulSoup
page = BeautifulSoup(requests.get("http://wiki.test:${port}/Containers").text, "html.parser")
print(page.select_one("p:not(.empty)").get_text())`,
  });
  console.log(scraped.stdout || scraped.stderr);
}

// ---- fetch() in Bun ----------------------------------------------------------------------------

const fetched = await isol8.execute({
  runtime: "bun",
  code: `
const repo = await (await fetch("http://api.test:${port}/repos/b/two")).json();
console.log(JSON.stringify(repo));`,
});
console.log(JSON.parse(fetched.stdout));

// ---- Many at once ------------------------------------------------------------------------------

const results = await Promise.all(
  Object.keys(repositories).map((path) =>
    isol8.execute({
      runtime: "python",
      code: `
import json, urllib.request
repo = json.loads(urllib.request.urlopen("http://api.test:${port}${path}").read())
print(json.dumps({"name": repo["full_name"], "stars": repo["stars"]}))`,
    }),
  ),
);
console.log(results.map((result) => JSON.parse(result.stdout)));
await isol8.stop();

// ---- Everything but some hosts -----------------------------------------------------------------

const cautious = new DockerIsol8({
  network: "filtered",
  networkFilter: { blacklist: [".*\\.evil-tld$", "^evil\\..*"] },
});
const codes = await cautious.execute({
  runtime: "bash",
  cmd: `for host in api.test evil.test shop.evil-tld; do
    curl -s -o /dev/null -w "$host %{http_code}\\n" "http://$host:${port}/"
  done`,
});
console.log(codes.stdout);
await cautious.stop();

// ---- A secret that the program may use, and nobody gets to see ---------------------------------

const llm = new DockerIsol8({
  network: "filtered",
  networkFilter: { whitelist: ["^llm\\.test$"] },
  secrets: { API_KEY: "sk-proj-abc123" },
});
const answer = await llm.execute({
  runtime: "python",
  code: `
import json, os, urllib.request
request = urllib.request.Request(
    "http://llm.test:${port}/v1/chat",
    data=json.dumps({"messages": ["Say hello"]}).encode(),
    headers={"Authorization": "Bearer " + os.environ["API_KEY"]},
)
print(json.loads(urllib.request.urlopen(request).read())["answer"])`,
});
console.log(answer.stdout);
await llm.stop();

world.close();
