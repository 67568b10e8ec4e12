// SPDX-License-Identifier: Apache-2.0
// usage.ts - a program that uses everything, and mistakes that the types must find.
import {
  configureHost,
  DockerIsol8,
  Isol8,
  RemoteIsol8,
  RuntimeRegistry,
  VERSION,
  type CleanupResult,
  type ExecutionRequest,
  type ExecutionResult,
  type HostOptions,
  type Isol8Engine,
  type Isol8Options,
  type NetworkLogEntry,
  type Runtime,
  type SessionInfo,
  type StreamEvent,
} from "isol8";

const host: HostOptions = {
  stateRoot: "/run/x",
  network: { hosts: { "a.test": "127.0.0.1", "b.test": ["::1"] }, ports: [80], limits: { bytes: 1 } },
};

const options: Isol8Options = {
  mode: "ephemeral",
  network: "filtered",
  networkFilter: { whitelist: ["^api\\.test$"], blacklist: [] },
  cpuLimit: 0.5,
  memoryLimit: "256m",
  pidsLimit: 32,
  readonlyRootFs: true,
  maxOutputSize: 1024,
  secrets: { KEY: "value" },
  timeoutMs: 1000,
  image: "host",
  sandboxSize: "64m",
  tmpSize: "64m",
  debug: false,
  persist: false,
  logNetwork: true,
  security: { seccomp: "custom", customProfilePath: "/etc/profile.json" },
  audit: { enabled: true, destination: "filesystem", retentionDays: 7 },
  remoteCode: { enabled: false, allowedSchemes: ["https"] },
  poolStrategy: "secure",
  poolSize: { clean: 2, dirty: 1 },
  docker: {},
};

const request: ExecutionRequest = {
  code: "print(1)",
  runtime: "python",
  timeoutMs: 500,
  env: { A: "b" },
  fileExtension: ".py",
  stdin: "x",
  files: { a: "text", b: new Uint8Array(3), c: Buffer.from("x") },
  outputPaths: ["out"],
  installPackages: ["requests"],
  setupScript: "true",
  workdir: "dir",
  agentFlags: "--x",
  metadata: { userId: "u" },
};

async function use(engine: Isol8Engine): Promise<string> {
  await engine.start({ prewarm: { runtimes: ["python"] } });
  await engine.start({ prewarm: true });
  const result: ExecutionResult = await engine.execute(request);
  const texts: string[] = [result.stdout, result.verdict, result.files?.out ?? ""];
  const entries: NetworkLogEntry[] = result.networkLogs ?? [];
  for await (const event of engine.executeStream(request)) {
    const seen: StreamEvent = event;
    texts.push(seen.type, seen.data, seen.phase ?? "code");
  }
  await engine.putFile("a", Buffer.from("x"));
  const bytes: Buffer = await engine.getFile("a");
  await engine.stop();
  return texts.join() + entries.length + bytes.toString("base64");
}

export async function main(): Promise<void> {
  await configureHost(host);
  const engine = new DockerIsol8(options, 3);
  const id: string | null = engine.containerId;
  const stream = new Isol8().executeStream({ cmd: "true", runtime: "bash" });
  await stream.next();
  await stream.return();
  const cleaned: CleanupResult = await DockerIsol8.cleanup();
  const images: CleanupResult = await DockerIsol8.cleanupImages({});
  const names: Runtime[] = RuntimeRegistry.list().map((runtime) => runtime.name);
  console.log(await use(engine), id, cleaned.errors[0], images.removed, names, VERSION);
}

export async function remote(): Promise<string> {
  const engine = new RemoteIsol8({ host: "http://x", apiKey: "k", sessionId: "s" }, options);
  const sessions: SessionInfo[] = await engine.listSessions();
  await engine.deleteSession(sessions[0].id);
  return use(engine);
}

// @ts-expect-error the key is required
new RemoteIsol8({ host: "http://x" });
// @ts-expect-error a limit is text
new DockerIsol8({ memoryLimit: 512 });
// @ts-expect-error no such network
new DockerIsol8({ network: "bridge" });
// @ts-expect-error no such option
new DockerIsol8({ memoryLimits: "1g" });
// @ts-expect-error the runtime is required
void new DockerIsol8().execute({ code: "1" });
// @ts-expect-error no such runtime
void new DockerIsol8().execute({ code: "1", runtime: "perl" });
// @ts-expect-error the id is only read
new DockerIsol8().containerId = "x";
// @ts-expect-error content is text or bytes
void new DockerIsol8().putFile("a", 5);
