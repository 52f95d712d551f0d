import { CroftError, type CroftErrorInit } from '@croft/kit'

/** Garden's error types (garden/errors.go); what we add maps to "" for a foreign client. */
export type GardenErrorType =
  | 'ContainerNotFoundError'
  | 'ProcessNotFoundError'
  | 'ExecutableNotFoundError'
  | 'ServiceUnavailableError'
  | 'UnrecoverableError'
  | ''

interface GardenErrorInit extends CroftErrorInit {
  type?: GardenErrorType
  isRetryable?: boolean
  handle?: string
  processId?: string
}

/** The base of every failure of the container API. `message` is the text Garden clients compare. */
export class GardenError extends CroftError {
  readonly type: GardenErrorType
  readonly isRetryable: boolean
  readonly handle: string | undefined
  readonly processId: string | undefined

  constructor(init: GardenErrorInit) {
    super(init)
    this.type = init.type ?? ''
    this.isRetryable = init.isRetryable ?? false
    this.handle = init.handle
    this.processId = init.processId
  }
}

export class ContainerNotFoundError extends GardenError {
  constructor(handle: string) {
    super({
      code: 'container-not-found',
      status: 404,
      type: 'ContainerNotFoundError',
      title: `unknown handle: ${handle}`,
      handle,
    })
  }
}

export class ProcessNotFoundError extends GardenError {
  constructor(processId: string) {
    super({
      code: 'process-not-found',
      status: 404,
      type: 'ProcessNotFoundError',
      title: `unknown process: ${processId}`,
      processId,
    })
  }
}

export class ExecutableNotFoundError extends GardenError {
  constructor(path: string) {
    super({
      code: 'executable-not-found',
      status: 422,
      type: 'ExecutableNotFoundError',
      title: path.includes('/')
        ? `${path}: no such file or directory`
        : `exec: "${path}": executable file not found in $PATH`,
    })
  }
}

export class UserNotFoundError extends GardenError {
  constructor(user: string) {
    super({
      code: 'user-not-found',
      status: 422,
      title: `unable to find user ${user}: no matching entries in passwd file`,
    })
  }
}

/** A handle, process id, address or port that somebody has. */
export class AlreadyInUseError extends GardenError {
  constructor(what: string) {
    super({ code: 'already-in-use', status: 409, title: `${what} already in use` })
  }
}

export class InvalidSpecError extends GardenError {
  constructor(title: string, fields?: Record<string, string>) {
    super({ code: 'invalid-spec', status: 400, title, ...(fields !== undefined && { fields }) })
  }
}

export class ImageError extends GardenError {
  constructor(title: string, cause?: unknown, suggestion?: string) {
    super({ code: 'image', status: 422, title, cause, ...(suggestion !== undefined && { suggestion }) })
  }
}

/** Files that could not be streamed; `fields` names a limit (`bytes`, `entries`) that was too low for them. */
export class StreamError extends GardenError {
  constructor(direction: 'in' | 'out', detail: string, fields?: Record<string, string>) {
    super({
      code: `stream-${direction}`,
      status: fields === undefined ? 422 : 413,
      title: `error streaming ${direction}`,
      detail,
      ...(fields !== undefined && { fields }),
    })
  }
}

export class ContainerPausedError extends GardenError {
  constructor(handle: string) {
    super({ code: 'container-paused', status: 409, title: `container ${handle} is paused`, handle, isRetryable: true })
  }
}

/** A limit lower than what the container uses now; it stays as it was. */
export class LimitBelowUseError extends GardenError {
  constructor(what: string) {
    super({
      code: 'limit-below-use',
      status: 409,
      title: `the container uses more ${what} than the new limit`,
      suggestion: 'Stop some of its processes first, or choose a higher limit',
      isRetryable: true,
    })
  }
}

/** The backend lacks a capability, on this host or at all; `Capabilities` says so beforehand. */
export class NotSupportedError extends GardenError {
  constructor(what: string, remedy?: string) {
    super({
      code: 'not-supported',
      status: 422,
      title: `${what} is not supported by this backend`,
      ...(remedy !== undefined && { suggestion: remedy }),
    })
  }
}

/** The asked position is no longer among the kept events, or of another boot. */
export class EventsGoneError extends GardenError {
  constructor() {
    super({
      code: 'events-gone',
      status: 410,
      title: 'the events after this position are no longer kept',
      suggestion: 'List the containers, then read events from the present position on',
    })
  }
}

/** Try again later: out of containers, ports, or the host is missing something. */
export class ServiceUnavailableError extends GardenError {
  constructor(title: string, cause?: unknown) {
    super({
      code: 'service-unavailable',
      status: 503,
      type: 'ServiceUnavailableError',
      title,
      isRetryable: true,
      cause,
    })
  }
}

/** The container can only be destroyed. */
export class UnrecoverableError extends GardenError {
  constructor(title: string, cause?: unknown) {
    super({ code: 'unrecoverable', status: 500, type: 'UnrecoverableError', title, cause })
  }
}
