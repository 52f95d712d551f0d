import { createHash, randomBytes } from 'node:crypto'

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz'
const SECRET_LENGTH = 34
const CHECK_LENGTH = 6

/** A new token: `croft_`, 195 random bits, and a check sum, so that secret scanners find it and typing errors are seen. */
export function mintToken(): string {
  let secret = ''
  while (secret.length < SECRET_LENGTH) {
    // Values past the last whole multiple are left out: each character is equally likely.
    for (const byte of randomBytes(SECRET_LENGTH)) {
      if (byte < ALPHABET.length * 4 && secret.length < SECRET_LENGTH) secret += ALPHABET[byte % ALPHABET.length]
    }
  }
  return `croft_${secret}${checkOf(secret)}`
}

/** Whether a text has the shape and the check sum of a token; says nothing about whether it is valid. */
export function looksLikeToken(text: string): boolean {
  if (!text.startsWith('croft_')) return false
  const secret = text.slice('croft_'.length, -CHECK_LENGTH)
  return secret.length === SECRET_LENGTH && text.endsWith(checkOf(secret))
}

function checkOf(secret: string): string {
  return [...createHash('sha256').update(secret).digest().subarray(0, CHECK_LENGTH)]
    .map((byte) => ALPHABET[byte % ALPHABET.length])
    .join('')
}

/** What is stored and looked up of a token, hex. */
export function tokenSha256(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}
