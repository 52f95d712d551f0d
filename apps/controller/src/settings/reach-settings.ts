import { X509Certificate } from 'node:crypto'
import { z } from 'zod'

/** The settings by which builds reach package registries, as they may be set. Null: as the host does. */

const MAX_CA_BYTES = 256 * 1024
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const LOOPBACK = /^(?:localhost|.*\.localhost|127\..*|\[::1\]|0\.0\.0\.0)$/i

/** Why an address cannot be handed to builds; null when it can. Pure. */
export function addressProblem(text: string): string | null {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:') || url.hostname === '')
    return 'is no address: write it as https://HOST/PATH'
  if (url.username !== '' || url.password !== '') return 'has a user name or a password, which every build could read'
  if (LOOPBACK.test(url.hostname)) return 'names this host by an address that means a build itself there'
  return url.hash === '' && url.search === '' ? null : 'has a part behind ? or #'
}

/** Why a text is no list of certificates; null when it is. Pure. */
export function certificatesProblem(text: string): string | null {
  if (Buffer.byteLength(text) > MAX_CA_BYTES) return `is larger than ${MAX_CA_BYTES / 1024} KiB`
  if (text.includes('PRIVATE KEY-----')) return 'holds a private key, which no build may have'
  const blocks = text.match(PEM) ?? []
  if (blocks.length === 0) return 'holds no certificate in PEM (-----BEGIN CERTIFICATE-----)'
  try {
    for (const block of blocks) new X509Certificate(block)
    return null
  } catch {
    return 'holds a certificate that cannot be read'
  }
}

function checked(problemOf: (text: string) => string | null) {
  return z
    .string()
    .superRefine((text, context) => {
      const message = problemOf(text)
      if (message !== null) context.addIssue({ code: 'custom', message })
    })
    .nullable()
    .default(null)
}

const noProxyProblem = (text: string): string | null =>
  /^[\w.*:/-]+(?:,[\w.*:/-]+)*$/.test(text) ? null : 'is no list of hosts separated by commas'

export const reachSettings = {
  npmRegistry: checked(addressProblem),
  rubygemsMirror: checked(addressProblem),
  pypiIndex: checked(addressProblem),
  packagistMirror: checked(addressProblem),
  proxy: checked(addressProblem),
  noProxy: checked(noProxyProblem),
  ca: checked(certificatesProblem),
}
