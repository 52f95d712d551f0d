import { InvalidSpecError } from '../../errors.js'

/**
 * Reading JSON as Garden's Go does, but telling which field is wrong: names match whatever their case, unknown fields are
 * ignored, null is absence. A decoder notes what is wrong and goes on, so that one answer names every wrong field.
 */

/** What was wrong so far: path of the field (`limits.cpu_limits.weight`) to why. */
export class Problems extends Map<string, string> {
  /** The message when clients compare it with Garden's own, which names no field. */
  gardenText: string | undefined

  setGardenText(path: string, message: string): void {
    this.set(path, message)
    this.gardenText ??= message
  }
}

/** Turns a present JSON value into ours; undefined when it noted a problem. */
export type Decoder<T> = (value: unknown, path: string, problems: Problems) => T | undefined

export type Decoded<F extends Record<string, Decoder<unknown>>> = {
  [K in keyof F]?: NonNullable<ReturnType<F[K]>>
}

const within = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)

/** An object of the named fields, each of which may be absent. */
export function object<F extends Record<string, Decoder<unknown>>>(fields: F): Decoder<Decoded<F>> {
  const decoders = Object.entries(fields)
  const nameOf = new Map(decoders.flatMap(([name]) => [[name.toLowerCase(), name] as const, [name, name] as const]))
  return (value, path, problems) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      problems.set(path, 'must be an object')
      return undefined
    }
    const given = new Map<string, unknown>()
    for (const [key, one] of Object.entries(value)) {
      const name = nameOf.get(key) ?? nameOf.get(key.toLowerCase())
      if (name !== undefined && one !== null) given.set(name, one)
    }
    const found: Record<string, unknown> = {}
    for (const [name, decode] of decoders) {
      const one = given.get(name)
      const decoded = one === undefined ? undefined : decode(one, within(path, name), problems)
      if (decoded !== undefined) found[name] = decoded
    }
    return found as Decoded<F>
  }
}

/** A list; null entries are refused, since dropping one would move the others. */
export function list<T>(decode: Decoder<T>, maxLength = 10_000): Decoder<T[]> {
  return (value, path, problems) => {
    if (!Array.isArray(value)) {
      problems.set(path, 'must be a list')
      return undefined
    }
    if (value.length > maxLength) {
      problems.set(path, `must not have more than ${maxLength} entries`)
      return undefined
    }
    return value.flatMap((one: unknown, index) => {
      const decoded = decode(one, `${path}[${index}]`, problems)
      return decoded === undefined ? [] : [decoded]
    })
  }
}

/** A map of texts, such as properties; a null value is the empty text, as in Go. */
export const textMap: Decoder<Record<string, string>> = (value, path, problems) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.set(path, 'must be an object')
    return undefined
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, one]: [string, unknown]) => [
      key,
      one === null ? '' : (text()(one, within(path, key), problems) ?? ''),
    ]),
  )
}

/** A text without NUL bytes; `why` says what is wrong with one, or null. */
export function text(why: (value: string) => string | null = () => null): Decoder<string> {
  return (value, path, problems) => {
    const problem =
      typeof value !== 'string' ? 'must be a text' : value.includes('\0') ? 'must not hold a NUL byte' : why(value)
    if (problem === null) return value as string
    problems.set(path, problem)
    return undefined
  }
}

/** A whole number in a range. Those beyond 2^53 lose their last digits, which no limit notices. */
export function integer(min: number, max: number): Decoder<number> {
  return (value, path, problems) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    problems.set(path, `must be a whole number from ${min} to ${max}`)
    return undefined
  }
}

const MAX_UINT64 = 2 ** 64
const MAX_INT64 = 2 ** 63

/** A size, a share or a count; 0 is "no limit" wherever it limits. */
export const uint64: Decoder<number> = (value, path, problems) => {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_UINT64) return value
  problems.set(path, 'must be a whole number of at least 0')
  return undefined
}

/** A duration in nanoseconds, as milliseconds; less than one is one, because 0 means never. */
export const nanoseconds: Decoder<number> = (value, path, problems) => {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_INT64)
    return value > 0 ? Math.max(1, Math.round(value / NS_PER_MS)) : 0
  problems.set(path, 'must be a whole number of nanoseconds of at least 0')
  return undefined
}

export const bool: Decoder<boolean> = (value, path, problems) => {
  if (typeof value === 'boolean') return value
  problems.set(path, 'must be true or false')
  return undefined
}

/** A numeric enum of Garden's: 0 is the first of ours. */
export function oneOf<const T extends string>(values: readonly T[]): Decoder<T> {
  const known = values.map((name, index) => `${index} (${name})`).join(', ')
  return (value, path, problems) => {
    const found = typeof value === 'number' ? values[value] : undefined
    if (found === undefined) problems.set(path, `must be one of ${known}`)
    return found
  }
}

/** One of the named texts. */
export function named<const T extends string>(values: readonly T[]): Decoder<T> {
  return (value, path, problems) => {
    const found = values.find((one) => one === value)
    if (found === undefined) problems.set(path, `must be one of ${values.join(', ')}`)
    return found
  }
}

export const NS_PER_MS = 1_000_000

/** Milliseconds as the nanoseconds of the wire. */
export function toNanoseconds(ms: number): number {
  return Math.round(ms * NS_PER_MS)
}

/** Refuses a value when a decoder or a rule noted a problem. @throws InvalidSpecError naming each wrong field */
export function decodeOrRefuse<T>(
  what: string,
  decode: (value: unknown, problems: Problems) => T | undefined,
  value: unknown,
): T {
  const problems = new Problems()
  const decoded = decode(value, problems)
  const [first] = problems
  if (first === undefined && decoded !== undefined) return decoded
  const [path, why] = first ?? ['', 'is missing']
  throw new InvalidSpecError(
    problems.gardenText ?? (path === '' ? `${what} ${why}` : `${what}: ${path} ${why}`),
    Object.fromEntries([...problems].map(([field, one]) => [field === '' ? 'body' : field, one])),
  )
}

/** A copy without the fields that are undefined, so that optional ones are absent. */
export function compact<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
