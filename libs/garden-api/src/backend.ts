import type { Readable, Writable } from 'node:stream'
import type {
  Capabilities,
  Capacity,
  ContainerEvent,
  ContainerInfo,
  ContainerSpec,
  EventPosition,
  Lease,
  Limits,
  LiveLimits,
  MappedPort,
  Metrics,
  NetIn,
  NetOutRule,
  ProcessExit,
  ProcessInfo,
  ProcessSpec,
  RecoverReport,
} from './types.js'

/**
 * Where a process's streams go; an absent stream is kept in the process's log ring only. An output that is a `Borrower` gets
 * many bytes cheaper.
 */
export interface ProcessIo {
  stdin?: Readable
  stdout?: Writable
  stderr?: Writable
  /** Told how many bytes of a stream this reader missed because it was slower than the kept output is long. */
  onDropped?: (stream: 'stdout' | 'stderr', bytes: number) => void
}

/** A process in a container. It lives on when we lose this object or die. */
export interface Process {
  readonly id: string
  /** Resolves when it has ended and its streams are drained. Never rejects for a non-zero exit. @throws UnrecoverableError */
  wait(signal?: AbortSignal): Promise<ProcessExit>
  /** Signal number, e.g. 15. @throws ProcessNotFoundError when it has ended */
  signal(signal: number): Promise<void>
  resize(columns: number, rows: number): Promise<void>
  /** Lets go of its streams; it runs on. */
  detach(): void
}

/** Where an attached reader begins: at the present end (the default), at absolute offsets, or so many bytes before the end. */
export type AttachFrom =
  | { kind: 'now' }
  | { kind: 'offset'; stdout?: number; stderr?: number }
  | { kind: 'tail'; bytes: number }

/** A piece of a process's kept output. Offsets are absolute byte positions in that stream since the process started. */
export interface LogChunk {
  stream: 'stdout' | 'stderr'
  offset: number
  data: Buffer
  /** Bytes before `offset` that were overwritten before anybody read them. */
  droppedBytes: number
}

export interface Container {
  readonly handle: string
  /** @throws ContainerNotFoundError */
  info(): Promise<ContainerInfo>
  /** @throws ContainerNotFoundError */
  metrics(): Promise<Metrics>
  /** TERM to every process but the first, then KILL after 10 s; `kill`: KILL at once. The container stays. */
  stop(options?: { kill?: boolean }): Promise<void>
  /** @throws ExecutableNotFoundError, UserNotFoundError, AlreadyInUseError (process id), ContainerPausedError */
  run(spec: ProcessSpec, io?: ProcessIo): Promise<Process>
  /** Joins a running or finished process. @throws ProcessNotFoundError */
  attach(processId: string, io?: ProcessIo, from?: AttachFrom): Promise<Process>
  processes(): Promise<ProcessInfo[]>
  /** Reads kept output from `fromOffset` (default: what is kept) to the present end. @throws ProcessNotFoundError */
  readLog(processId: string, stream: 'stdout' | 'stderr', fromOffset?: number): Promise<LogChunk>
  /** Unpacks a tar (uncompressed) below `path`, owned by `user` (default root); a relative path begins at its home. @throws StreamError */
  streamIn(options: { user: string; path: string; tar: Readable }): Promise<void>
  /** A tar of `path`; with a trailing slash of what lies in it. A failure destroys the stream with StreamError. */
  streamOut(options: { user: string; path: string }): Promise<Readable>
  properties(): Promise<Record<string, string>>
  setProperty(key: string, value: string): Promise<void>
  removeProperty(key: string): Promise<void>
  /** The limits in force. */
  limits(): Promise<Limits>
  /** Changes limits of the running container, all or none. @throws InvalidSpecError, NotSupportedError, LimitBelowUseError */
  changeLimits(limits: LiveLimits): Promise<void>
  /** Opens a port of the host into the container. @throws AlreadyInUseError (host port), ServiceUnavailableError, NotSupportedError */
  netIn(ports: NetIn): Promise<MappedPort>
  /** Allows more of the outside. @throws InvalidSpecError, NotSupportedError */
  netOut(rules: readonly NetOutRule[]): Promise<void>
  /** 0: never destroyed for being idle. Kept by the backend, acted upon by whoever serves it. */
  graceTimeMs(): Promise<number>
  setGraceTime(graceTimeMs: number): Promise<void>
  lease(): Promise<Lease | null>
  setLease(lease: Lease | null): Promise<void>
}

export interface DestroyOptions {
  ifExists?: boolean
  reason?: 'asked' | 'grace-time'
}

export interface ResultOf<T> {
  value?: T
  error?: Error
}

/**
 * The container API: what executors speak and backends implement. Every call has an own deadline; every failure is a
 * GardenError. A backend keeps its containers when its process dies, and takes them up again in `recover`.
 */
export interface Backend {
  /** @throws ServiceUnavailableError */
  ping(): Promise<void>
  capabilities(): Promise<Capabilities>
  capacity(): Promise<Capacity>
  /** Adopts what is alive, finishes or undoes what is half-made; call it once, before anything else. */
  recover(): Promise<RecoverReport>
  /** Everything `create` would refuse before it makes anything; resolves when nothing. @throws as `create` */
  check(spec: ContainerSpec): Promise<void>
  /** @throws InvalidSpecError, AlreadyInUseError (handle, address, port), ImageError, ServiceUnavailableError */
  create(spec: ContainerSpec, signal?: AbortSignal): Promise<Container>
  /** @throws ContainerNotFoundError */
  lookup(handle: string): Promise<Container>
  /** Containers whose properties contain all of `properties`. */
  containers(properties?: Record<string, string>): Promise<Container[]>
  /** Joins a destroy in progress; the event tells the reason (default `asked`). @throws ContainerNotFoundError unless `ifExists` */
  destroy(handle: string, options?: DestroyOptions): Promise<void>
  /** Freezes containers, all or none; their processes stand still, run and stop are refused. @throws ContainerNotFoundError, NotSupportedError */
  pause(handles: readonly string[]): Promise<void>
  /** Lets them run on; one that was not frozen is fine. @throws ContainerNotFoundError, NotSupportedError */
  resume(handles: readonly string[]): Promise<void>
  bulkInfo(handles: readonly string[]): Promise<Map<string, ResultOf<ContainerInfo>>>
  bulkMetrics(handles: readonly string[]): Promise<Map<string, ResultOf<Metrics>>>
  eventPosition(): Promise<EventPosition>
  /**
   * What happened after a position (default: from now on), in order, until the signal aborts.
   * @throws EventsGoneError when it is too old or of another boot: list, then go on from the present position
   */
  events(signal: AbortSignal, after?: EventPosition): AsyncIterable<ContainerEvent>
  /** Lets go of sockets and timers; containers run on. */
  close(): Promise<void>
}

/** Turns an image reference into what a root file system is mounted from. Implemented by whoever keeps images. */
export interface ImageResolver {
  /** An empty `uri` is the resolver's default, or nothing: a root with no file. @throws ImageError */
  resolve(uri: string): Promise<ResolvedImage>
}

export interface ResolvedImage {
  /** Directories, uppermost first, holding the image's own ids; never changed while in use. */
  lowerPaths: string[]
  /** The image's environment, `K=V`; the container's own env wins. */
  env: string[]
}
