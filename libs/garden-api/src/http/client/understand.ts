import { GardenError, InvalidSpecError } from '../../errors.js'
import { decodeOrRefuse, type Decoder } from '../codec/fields.js'

/** Reads what a server answered. What makes no sense is the server's fault, not the caller's. @throws GardenError */
export function understand<T>(decode: (json: unknown) => T, json: unknown): T {
  try {
    return decode(json)
  } catch (error) {
    if (!(error instanceof InvalidSpecError)) throw error
    const title = `the server's answer makes no sense: ${error.message}`
    throw new GardenError({ code: 'bad-answer', status: 502, title, cause: error })
  }
}

/** The same for a simple object. */
export function understandFields<T>(what: string, fields: Decoder<T>, json: unknown): T {
  return understand((answer) => decodeOrRefuse(what, (value, problems) => fields(value, '', problems), answer), json)
}
