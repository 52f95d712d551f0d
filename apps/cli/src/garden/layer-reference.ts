import { posix } from 'node:path'
import { isDigest, type Digest } from '@croft/kit'
import { ImageError } from '@croft/garden-api'

/** An image with one more layer above it, as `preloaded+layer:BASE?layer=TAR&layer_path=DIR&layer_digest=SHA256` names it. */
export interface LayerReference {
  /** The image below, in words of its own; empty: the default one. */
  base: string
  /** Where the layer's tar is, as it was named. */
  layer: string
  /** The directory of the image its files come into: absolute, without `..`. */
  path: string
  /** What the tar's bytes come to. */
  digest: Digest
}

export const LAYER_SCHEME = 'preloaded+layer:'
const FORM = `${LAYER_SCHEME}/base.tar?layer=/app.tgz&layer_path=/home/app&layer_digest=sha256:HEX`

/** Null for an image that is named in another way. Pure. @throws ImageError naming what is wrong of it */
export function parseLayerReference(uri: string): LayerReference | null {
  if (!uri.startsWith(LAYER_SCHEME)) return null
  const wrong = (what: string): ImageError =>
    new ImageError(`image ${uri.slice(0, 200)}: ${what}`, undefined, `name it as ${FORM}`)
  const [base = '', query = ''] = cut(uri.slice(LAYER_SCHEME.length))
  const asked = new URLSearchParams(query)
  const [layer, path, digest] = ['layer', 'layer_path', 'layer_digest'].map((name) => {
    const value = asked.get(name) ?? ''
    if (value === '') throw wrong(`${name} is missing`)
    return value
  }) as [string, string, string]
  if (!path.startsWith('/') || path.includes('\0') || path.split('/').includes('..')) {
    throw wrong('layer_path must be an absolute path without ..')
  }
  const whole = digest.startsWith('sha256:') ? digest : `sha256:${digest}`
  if (!isDigest(whole)) throw wrong('layer_digest must be the sha256 of the layer, 64 hex digits')
  return { base, layer, path: posix.normalize(path), digest: whole }
}

/** What stands before the first question mark, and behind it. */
function cut(text: string): string[] {
  const at = text.indexOf('?')
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
