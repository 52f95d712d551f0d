import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { CroftError } from '@croft/kit'
import type { SealedValue } from './sealed-value.js'

const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
export const KEY_BYTES = 32

/** A sealed value that is not what was sealed here: changed, moved to another row, or under another key. */
export class SealBroken extends CroftError {
  constructor(what: string, cause?: unknown) {
    super({
      code: 'seal-broken',
      status: 500,
      title: `${what} cannot be opened`,
      detail: 'what lies in the database is not what was sealed for this place, or the key is another one',
      suggestion: 'restore the database and <home>/controller/keys from the same backup',
      cause,
    })
  }
}

/** Encrypts `plain` for one place, named by `context`: opened with another context it is refused. */
export function seal(plain: Buffer, key: Buffer, keyId: string, context: string): SealedValue {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(context))
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  return { keyId, nonce: nonce.toString('base64'), ciphertext: ciphertext.toString('base64') }
}

/** The plain bytes. @throws SealBroken */
export function unseal(sealed: SealedValue, key: Buffer, context: string, what: string): Buffer {
  const bytes = Buffer.from(sealed.ciphertext, 'base64')
  const nonce = Buffer.from(sealed.nonce, 'base64')
  if (bytes.length < TAG_BYTES || nonce.length !== NONCE_BYTES) throw new SealBroken(what)
  try {
    const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(context))
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()])
  } catch (cause) {
    throw new SealBroken(what, cause)
  }
}
