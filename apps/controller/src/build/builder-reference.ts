import { OciError, parseReference } from '@croft/oci'

/** References of builder images, and which of them apps may name. Pure. */

/** Stands for every address. */
export const ANY_BUILDER = '*'

/** Why a text is no reference of a builder image; null when it is one. A bare word is none: it would be a typing error. */
export function builderProblem(text: string): string | null {
  if (!/[/:]/.test(text)) return 'is no image: write it as HOST/NAME:TAG or NAME/NAME:TAG'
  try {
    parseReference(text)
    return null
  } catch (error) {
    if (!(error instanceof OciError)) throw error
    return `names no image: ${error.detail ?? error.title}`
  }
}

/** Why a text is no address at or below which builder images are allowed; null when it is one, or stands for all. */
export function builderSourceProblem(text: string): string | null {
  if (text === ANY_BUILDER) return null
  if (/[@\s]/.test(text)) return 'is no address: write it as HOST/NAME or NAME, without tag and digest'
  return addressOf(text) === null ? 'is no address: write it as HOST/NAME or NAME' : null
}

/** Whether apps may name a builder image: the platform's own, or one at or below an address of the list. */
export function isAllowedBuilder(reference: string, sources: readonly string[], ofPlatform: string | null): boolean {
  if (sources.includes(ANY_BUILDER)) return true
  const { host, name } = parseReference(reference)
  const address = `${host}/${name}`
  if (ofPlatform !== null) {
    const own = parseReference(ofPlatform)
    if (address === `${own.host}/${own.name}`) return true
  }
  return sources.some((source) => {
    const above = addressOf(source)
    return above !== null && (address === above || address.startsWith(`${above}/`))
  })
}

/** `HOST`, `HOST/PATH` or `PATH` with its host, without slashes at the end; null when it is none. */
function addressOf(text: string): string | null {
  const plain = text.replace(/\/+$/, '')
  const isHost = !plain.includes('/') && (plain === 'localhost' || /[.:]/.test(plain))
  try {
    const { host, name } = parseReference(isHost ? `${plain}/x` : `${plain}${plain.includes('/') ? '' : '/x'}`)
    if (isHost) return host
    return plain.includes('/') ? `${host}/${name}` : `${host}/${plain}`
  } catch {
    return null
  }
}
