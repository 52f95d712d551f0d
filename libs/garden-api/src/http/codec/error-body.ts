import { CroftError, messageOf } from '@croft/kit'
import {
  AlreadyInUseError,
  ContainerNotFoundError,
  ContainerPausedError,
  EventsGoneError,
  ExecutableNotFoundError,
  GardenError,
  ImageError,
  InvalidSpecError,
  LimitBelowUseError,
  NotSupportedError,
  ProcessNotFoundError,
  ServiceUnavailableError,
  StreamError,
  UnrecoverableError,
  UserNotFoundError,
  type GardenErrorType,
} from '../../errors.js'

/** Failures on the wire: Garden's five strings, then what we add and Garden's clients ignore. */
export interface ErrorBody {
  Type: string
  Message: string
  Handle: string
  ProcessID: string
  Binary: string
  Code: string
  Retryable: boolean
  Details: { Title?: string; Detail?: string; Suggestion?: string; Fields?: Record<string, string> }
}

export interface WireError {
  status: number
  body: ErrorBody
}

const TYPES: readonly GardenErrorType[] = [
  'ContainerNotFoundError',
  'ProcessNotFoundError',
  'ExecutableNotFoundError',
  'ServiceUnavailableError',
  'UnrecoverableError',
]

/** Any thrown value as an answer; what nobody expected is a 500 with its message and no stack. */
export function errorToWire(error: unknown): WireError {
  const known = error instanceof CroftError ? error : undefined
  const garden = error instanceof GardenError ? error : undefined
  return {
    status: known?.status ?? 500,
    body: {
      Type: garden?.type ?? '',
      Message: messageOf(error),
      Handle: garden?.handle ?? '',
      ProcessID: garden?.processId ?? '',
      Binary: '',
      Code: known?.code ?? 'internal',
      Retryable: garden?.isRetryable ?? false,
      Details: {
        ...(known?.detail !== undefined && { Title: known.title, Detail: known.detail }),
        ...(known?.suggestion !== undefined && { Suggestion: known.suggestion }),
        ...(known?.fields !== undefined && { Fields: known.fields }),
      },
    },
  }
}

/** Which class, and usual status, a code stands for. */
const KNOWN: Record<string, [{ prototype: GardenError }, number]> = {
  'container-not-found': [ContainerNotFoundError, 404],
  'process-not-found': [ProcessNotFoundError, 404],
  'executable-not-found': [ExecutableNotFoundError, 422],
  'user-not-found': [UserNotFoundError, 422],
  'already-in-use': [AlreadyInUseError, 409],
  'invalid-spec': [InvalidSpecError, 400],
  image: [ImageError, 422],
  'stream-in': [StreamError, 422],
  'stream-out': [StreamError, 422],
  'container-paused': [ContainerPausedError, 409],
  'limit-below-use': [LimitBelowUseError, 409],
  'not-supported': [NotSupportedError, 422],
  'events-gone': [EventsGoneError, 410],
  'service-unavailable': [ServiceUnavailableError, 503],
  unrecoverable: [UnrecoverableError, 500],
}

const CODE_OF_TYPE: Record<string, string> = {
  ContainerNotFoundError: 'container-not-found',
  ProcessNotFoundError: 'process-not-found',
  ExecutableNotFoundError: 'executable-not-found',
  ServiceUnavailableError: 'service-unavailable',
  UnrecoverableError: 'unrecoverable',
}

/** What real Garden says in words only. */
const CODE_OF_TEXT: readonly [RegExp, string][] = [
  [/already (in use|exists)/, 'already-in-use'],
  [/^unable to find user /, 'user-not-found'],
  [/error streaming in/, 'stream-in'],
  [/error streaming out/, 'stream-out'],
  [/^property does not exist/, 'property-not-found'],
  [/max containers reached|port pool is exhausted/, 'service-unavailable'],
]

/**
 * The error an answer stands for, of the class that was thrown on the other side. `status` is absent for an error inside
 * another answer; real Garden's 500 means nothing where the code is known.
 */
export function errorFromWire(status: number | undefined, json: unknown): GardenError {
  const body = asRecord(json)
  const text = (name: string): string => (typeof body[name] === 'string' ? body[name] : '')
  const message = text('Message') || `bad response${status === undefined ? '' : `: status ${status}`}`
  const code =
    text('Code') ||
    CODE_OF_TYPE[text('Type')] ||
    CODE_OF_TEXT.find(([pattern]) => pattern.test(message))?.[1] ||
    (status === 404 ? 'not-found' : 'internal')
  const known = KNOWN[code]
  const details = asRecord(body['Details'])
  const detail = textOr(details['Detail'])
  const suggestion = textOr(details['Suggestion'])
  const fields = asRecord(details['Fields'])
  const type = TYPES.find((one) => one === text('Type'))
  const error = new GardenError({
    code,
    status: status === undefined || status === 500 ? (known?.[1] ?? 500) : status,
    title: detail === undefined ? message : (textOr(details['Title']) ?? message),
    ...(detail !== undefined && { detail }),
    ...(suggestion !== undefined && { suggestion }),
    ...(Object.keys(fields).length > 0 && { fields: fields as Record<string, string> }),
    ...(type !== undefined && { type }),
    ...(text('Handle') !== '' && { handle: text('Handle') }),
    ...(text('ProcessID') !== '' && { processId: text('ProcessID') }),
    isRetryable: body['Retryable'] === true || code === 'service-unavailable',
  })
  if (known !== undefined) {
    // their constructors make the message anew from arguments the wire does not carry
    Object.setPrototypeOf(error, known[0].prototype)
    error.name = known[0].prototype.constructor.name
  }
  return error
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}
function textOr(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
