// SPDX-License-Identifier: Apache-2.0
// index.d.ts - the package's types, with what every option and field means.
/// <reference types="node" />

/** A runtime that brings an interpreter. */
export type Runtime = "python" | "node" | "bun" | "bash" | "deno" | "agent";

/**
 * - `ephemeral`: every execution gets a fresh sandbox.
 * - `persistent`: one sandbox for all of the engine's executions, until {@link DockerIsol8.stop}.
 */
export type Isol8Mode = "ephemeral" | "persistent";

/**
 * - `none`: loopback only.
 * - `host`: the machine's own network, unfiltered.
 * - `filtered`: what the {@link NetworkFilterConfig} allows, through isol8's proxy.
 */
export type NetworkMode = "none" | "host" | "filtered";

/** Patterns for host names, searched for anywhere in the name; write `^...$` to mean one host. */
export interface NetworkFilterConfig {
  /** What is allowed. Empty or missing: every public host. */
  whitelist?: string[];
  /** What is blocked; wins over the whitelist. */
  blacklist?: string[];
}

export interface SecurityConfig {
  /** Which system calls are allowed. Default: `strict`. */
  seccomp?: "strict" | "unconfined" | "custom";
  /** For `custom`: a profile in the format of Docker and OCI. */
  customProfilePath?: string;
}

/** What is written down about every execution. */
export interface AuditConfig {
  /** Default: false. */
  enabled?: boolean;
  /** Default: `filesystem`. */
  destination?: "filesystem" | "file" | "stdout";
  /** Default: `ISOL8_AUDIT_DIR`, else `./.isol8_audit`. */
  logDir?: string;
  /** A program started after each record, with the log's path. */
  postLogScript?: string;
  /** Default: true. */
  trackResources?: boolean;
  /** Default: 90; 0 keeps records for ever. */
  retentionDays?: number;
  /** Also the source text, not only its hash. Default: false. */
  includeCode?: boolean;
  /** Also the output, masked and cut as in the result. Default: false. */
  includeOutput?: boolean;
}

/**
 * What may be fetched by `codeUrl`. The address guard, the host's fixed names, certificates and
 * upstream proxy (`configureHost()`) apply as well.
 */
export interface RemoteCodePolicy {
  /** Default: false. */
  enabled?: boolean;
  /** Default: `["https"]`. */
  allowedSchemes?: string[];
  allowedHosts?: string[];
  blockedHosts?: string[];
  maxCodeSize?: number;
  fetchTimeoutMs?: number;
  requireHash?: boolean;
  enableCache?: boolean;
  cacheTtl?: number;
}

/** What the constructor takes. Everything is checked there; a wrong type is a `TypeError`. */
export interface Isol8Options {
  /** Default: `ephemeral`. */
  mode?: Isol8Mode;
  /** Default: `none`. */
  network?: NetworkMode;
  /** Used with network `filtered`. */
  networkFilter?: NetworkFilterConfig;
  /** Cores. Default: 1; 0: no limit. */
  cpuLimit?: number;
  /** With the files in `/sandbox` and `/tmp`, without swap. Default: `512m`; `0`: no limit. */
  memoryLimit?: string;
  /** Processes and threads. Default: 64, for the agent 200; 0 or -1: no limit. */
  pidsLimit?: number;
  /** Default: true. */
  readonlyRootFs?: boolean;
  /** Bytes of each stream, buffered or not. Default: 1048576. */
  maxOutputSize?: number;
  /** Environment variables whose values appear as `***` in all output. */
  secrets?: Record<string, string>;
  /** Of requests without their own. Default: 30000. */
  timeoutMs?: number;
  /** Replaces the runtime's image. `host`: the machine's own /usr. */
  image?: string;
  /** Of the tmpfs `/sandbox`. Default: `512m`, for the agent `2g`. */
  sandboxSize?: string;
  /** Of the tmpfs `/tmp`. Default: `256m`. */
  tmpSize?: string;
  /** Say on stderr what is done. Default: false. */
  debug?: boolean;
  /** Keep an ephemeral sandbox after its execution, until {@link DockerIsol8.cleanup}. */
  persist?: boolean;
  /** Network `filtered`: put the proxy's decisions into the result. Default: false. */
  logNetwork?: boolean;
  security?: SecurityConfig;
  audit?: AuditConfig;
  remoteCode?: RemoteCodePolicy;
  /**
   * - `fast` (default): sandboxes are prepared ahead.
   * - `secure`: each is made after its request has come.
   *
   * A used sandbox is never given to another execution.
   */
  poolStrategy?: "fast" | "secure";
  /** Prepared sandboxes that wait, and used ones that may await removal. Default: 1 of each. */
  poolSize?: number | { clean?: number; dirty?: number };
  /** Accepted for compatibility, without effect: there is no Docker. */
  docker?: unknown;
}

/** Exactly one of `code` and `cmd` must be given. */
export interface ExecutionRequest {
  /** Source text; for the runtime `agent` the prompt. */
  code?: string;
  /** Fetched first, then treated as `code`, within {@link RemoteCodePolicy}. */
  codeUrl?: string;
  /** SHA-256 in hex that the fetched bytes must have. */
  codeHash?: string;
  /** Permits http, if the policy's `allowedSchemes` has it, too. */
  allowInsecureCodeUrl?: boolean;
  /** Run as `bash -c CMD` in the runtime's image. */
  cmd?: string;
  runtime: Runtime;
  /** Of staging, installation, set-up and program together. Default: the engine's. */
  timeoutMs?: number;
  /** Variables of set-up script and program. */
  env?: Record<string, string>;
  /** Of the script file, with its dot. Default: the runtime's. */
  fileExtension?: string;
  /** The program's input; end of file follows. */
  stdin?: string;
  /** Paths, absolute or relative to `/sandbox`, and contents; written before the run. */
  files?: Record<string, string | Buffer | Uint8Array>;
  /** Read after the run; what cannot be read is left out. Buffered form only. */
  outputPaths?: string[];
  /** For the runtime's package manager, before the code runs. */
  installPackages?: string[];
  /** A bash script, run in `/sandbox` after the packages and before the code. */
  setupScript?: string;
  /** Where the program runs, inside `/sandbox`. */
  workdir?: string;
  /** Runtime `agent`: further arguments. */
  agentFlags?: string;
  /** For the audit record; `userId` is its user. */
  metadata?: Record<string, string>;
}

export interface ResourceUsage {
  /** CPU time over wall time, of one core. */
  cpuPercent: number;
  /** The peak. */
  memoryMB: number;
  peakMemoryMB: number;
  /** Through the proxy, in network `filtered`. */
  networkBytesIn: number;
  networkBytesOut: number;
  cpuMs: number;
  wallMs: number;
}

/** One decision of the filtered network's proxy. */
export interface NetworkLogEntry {
  timestamp: string;
  method: string;
  host: string;
  path: string | null;
  action: "ALLOW" | "BLOCK";
  durationMs: number;
  port: number;
  rule?: string;
  reason?: string;
  bytesIn: number;
  bytesOut: number;
  error?: string;
}

export interface SecurityEvent {
  type: string;
  message: string;
  details?: Record<string, unknown>;
  timestamp: string;
}

/** How an execution ended, in one word. */
export type Verdict =
  | "ok"
  | "exit"
  | "signal"
  | "timeout"
  | "memory"
  | "pids"
  | "output"
  | "disk"
  | "cancelled";

/** What came of an execution. A program that fails, is killed or times out is a result. */
export interface ExecutionResult {
  /** Masked, cut at `maxOutputSize`, without white space at its end. */
  stdout: string;
  stderr: string;
  /** 128 + signal when it was killed; 137 after a timeout. */
  exitCode: number;
  /** Of the program alone. */
  durationMs: number;
  /** A stream was longer than `maxOutputSize`. */
  truncated: boolean;
  /** A UUID of its own for each execution. */
  executionId: string;
  runtime: Runtime;
  /** When it was over, ISO 8601 in UTC. */
  timestamp: string;
  /** 64 hex digits. */
  containerId: string;
  resourceUsage?: ResourceUsage;
  /** With option `logNetwork`. */
  networkLogs?: NetworkLogEntry[];
  /** Refused connections, in network `filtered`. */
  securityEvents?: SecurityEvent[];
  /** Of the request's `outputPaths`: contents in base64. */
  files?: Record<string, string>;
  verdict: Verdict;
  /** One sentence, for instance "killed: memory limit 64m reached". */
  verdictDetail: string;
  /** False when the operator switched user namespaces off. */
  userNamespace: boolean;
}

/**
 * One event of an execution. `exit` ends its phase, and has the exit code as text; the last event
 * is an `exit` of phase `code`, unless set-up failed.
 */
export interface StreamEvent {
  type: "stdout" | "stderr" | "exit" | "error";
  /** Text that is complete in its characters, though not in its lines. */
  data: string;
  phase?: "setup" | "code";
}

/**
 * The events of one execution, which begins with the first `next()`. To stop reading (`break`, or
 * `return()` at any time) cancels it.
 */
export interface ExecutionStream extends AsyncIterableIterator<StreamEvent> {
  return(value?: unknown): Promise<IteratorResult<StreamEvent>>;
  throw(error?: unknown): Promise<IteratorResult<StreamEvent>>;
}

export interface StartOptions {
  /** Prepare sandboxes ahead: for every runtime, or for those named. */
  prewarm?: boolean | { runtimes?: Runtime[] };
}

export interface CleanupResult {
  removed: number;
  failed: number;
  /** One for each failure: what, and why. */
  errors: string[];
}

/** What an engine can do, wherever it runs. */
export interface Isol8Engine {
  start(options?: StartOptions): Promise<void>;
  stop(): Promise<void>;
  execute(request: ExecutionRequest): Promise<ExecutionResult>;
  executeStream(request: ExecutionRequest): AsyncIterable<StreamEvent>;
  putFile(path: string, content: string | Buffer | Uint8Array): Promise<void>;
  getFile(path: string): Promise<Buffer>;
}

/**
 * Runs code in sandboxes of this machine. No call blocks the event loop. Errors that the library
 * reports have a `code`, such as `ISOL8_E_INVAL`.
 */
export declare class DockerIsol8 implements Isol8Engine {
  /**
   * @param options see {@link Isol8Options}
   * @param maxConcurrent executions at once; others wait, first come, first served
   */
  constructor(options?: Isol8Options, maxConcurrent?: number);

  /** Mode `persistent`: the sandbox, once the first execution has made it. */
  get containerId(): string | null;

  /** Nothing, unless `prewarm` is set; may be left out. */
  start(options?: StartOptions): Promise<void>;

  /** End the persistent sandbox and remove prepared ones. The engine can be used again. */
  stop(): Promise<void>;

  /** Run to the end. Rejects when isol8 itself could not do its job. */
  execute(request: ExecutionRequest): Promise<ExecutionResult>;

  /** Run, and hand over output as it comes. */
  executeStream(request: ExecutionRequest): ExecutionStream;

  /** Mode `persistent`: write a file into the sandbox. Missing directories are made. */
  putFile(path: string, content: string | Buffer | Uint8Array): Promise<void>;

  /** Mode `persistent`: read a file out of the sandbox, at most 256 MiB. */
  getFile(path: string): Promise<Buffer>;

  /** Remove sandboxes that nobody owns any more. The argument has no effect. */
  static cleanup(docker?: unknown): Promise<CleanupResult>;

  /** Remove isol8's images. The argument has no effect. */
  static cleanupImages(docker?: unknown): Promise<CleanupResult>;
}

export { DockerIsol8 as Isol8 };

export interface RemoteIsol8Options {
  /** The server's address: `https://box.example:3000`. */
  host: string;
  apiKey: string;
  /** A session of this name: one sandbox for all executions, until {@link RemoteIsol8.stop}. */
  sessionId?: string;
}

/** A session of a server. */
export interface SessionInfo {
  id: string;
  /** Executing right now. */
  isActive: boolean;
  /** ISO 8601 in UTC. */
  lastAccessedAt: string;
}

/**
 * Runs code on an isol8 server, over `fetch`. What the server refuses is an `Error` with its words.
 * Output comes over a WebSocket where the engine has one that sends headers (Bun, Node.js 22), else
 * by server-sent events.
 */
export declare class RemoteIsol8 implements Isol8Engine {
  /** @param options what the server is asked for; it decides what is allowed */
  constructor(server: RemoteIsol8Options, options?: Isol8Options);

  /** Ask whether the server is there. The argument has no effect. */
  start(options?: StartOptions): Promise<void>;

  /** End the session, if there is one. */
  stop(): Promise<void>;

  execute(request: ExecutionRequest): Promise<ExecutionResult>;

  /** To stop reading ends the program. Throws when the connection breaks off. */
  executeStream(request: ExecutionRequest): AsyncGenerator<StreamEvent, void, undefined>;

  /** With a `sessionId` only. */
  putFile(path: string, content: string | Buffer | Uint8Array): Promise<void>;

  /** With a `sessionId` only. */
  getFile(path: string): Promise<Buffer>;

  listSessions(): Promise<SessionInfo[]>;

  /** Also when there is no such session. */
  deleteSession(id: string): Promise<void>;
}

export interface RuntimeAdapter {
  readonly name: Runtime;
  readonly image: string;
}

export declare const RuntimeRegistry: {
  list(): RuntimeAdapter[];
  /** Throws for an unknown name. */
  get(name: string): RuntimeAdapter;
  /** By the file name's extension; throws for an unknown one. */
  detect(fileName: string): RuntimeAdapter;
};

/** The library's version. */
export declare const VERSION: string;

/** The operator's settings: those of isol8's configuration file that concern the whole process. */
export interface HostOptions {
  /** Sandboxes and locks. Default: `ISOL8_STATE_ROOT`, else `/run/isol8`. */
  stateRoot?: string;
  /** Images. Default: `ISOL8_DATA_ROOT`, else `/var/lib/isol8`. */
  dataRoot?: string;
  /** A program with runc's command line. Default: `runc`. */
  runtime?: string;
  /** Where sandboxes' cgroups are made. Default: `isol8`. */
  cgroupParent?: string;
  /** Default: true. */
  userNamespace?: boolean;
  /** How long prepared sandboxes that no engine wants wait for the next one. Default: 0. */
  poolLingerMs?: number;
  network?: {
    /** Names with fixed addresses. */
    hosts?: Record<string, string | string[]>;
    /** Ranges that filtered sandboxes may reach although they are private. */
    allowAddresses?: string[];
    /** Ports that may be connected to. Default: any. */
    ports?: number[];
    upstreamProxy?: string;
    /** Certificates that sandboxes trust in addition. */
    caFile?: string;
    limits?: { connections?: number; bytesPerSecond?: number; bytes?: number };
  };
}

/**
 * Set what the process's host is opened with, and open it without blocking. Optional: the first
 * engine opens it with the defaults. Rejects when it is open already.
 */
export declare function configureHost(options?: HostOptions): Promise<void>;
