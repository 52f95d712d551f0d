import { pack } from 'tar-stream'
import { LAYER_MTIME_SECONDS } from './layer-tar.js'

/** One entry of a layer made in memory; names are absolute. */
export type LayerEntry =
  | { kind: 'directory'; path: string }
  | { kind: 'file'; path: string; content: string | Buffer; isExecutable?: boolean }
  | { kind: 'symlink'; path: string; target: string }

/** Every entry with the parents it lacks, each once, parents first, in name order. */
export function withParents(entries: readonly LayerEntry[]): LayerEntry[] {
  const all = new Map<string, LayerEntry>()
  for (const entry of entries) {
    const parts = entry.path.split('/').filter((part) => part !== '')
    for (let depth = 1; depth < parts.length; depth += 1) {
      const path = `/${parts.slice(0, depth).join('/')}`
      if (!all.has(path)) all.set(path, { kind: 'directory', path })
    }
    all.set(`/${parts.join('/')}`, { ...entry, path: `/${parts.join('/')}` })
  }
  return [...all.values()].toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
}

/** The tar of a layer made of a few small entries, owned by root, normalised like every layer: same entries, same bytes. */
export async function generatedLayerTar(entries: readonly LayerEntry[]): Promise<Buffer> {
  const tar = pack()
  const chunks: Buffer[] = []
  tar.on('data', (chunk) => chunks.push(chunk as Buffer))
  const ended = new Promise<void>((resolve, reject) => tar.on('end', resolve).on('error', reject))
  const common = { uid: 0, gid: 0, mtime: new Date(LAYER_MTIME_SECONDS * 1000), uname: '', gname: '' }
  for (const entry of withParents(entries)) {
    if (entry.kind === 'directory') tar.entry({ ...common, name: entry.path, type: 'directory', mode: 0o755 })
    else if (entry.kind === 'symlink') {
      tar.entry({ ...common, name: entry.path, type: 'symlink', linkname: entry.target, mode: 0o777 })
    } else {
      const mode = entry.isExecutable === true ? 0o755 : 0o644
      tar.entry({ ...common, name: entry.path, type: 'file', mode }, entry.content)
    }
  }
  tar.finalize()
  await ended
  return Buffer.concat(chunks)
}
