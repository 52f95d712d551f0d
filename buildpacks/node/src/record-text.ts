import { createHash } from 'node:crypto'

/**
 * The record of a build that had nothing to do: by it `bin/build` sees, without Node, that there is nothing to do again, and does the
 * same. Three files: `seal` is the digest of `sums`; `sums`, as sha256sum reads it, has the digest of `record`, of each file
 * that was looked at, of the variables, and of what came back of layers; `record` says the rest, a line each, what is to be checked
 * first. Pure.
 */

/**
 * The variables a build without work goes by; `bin/build` hands the same ones over, in this order. Their values are in the record as part
 * of one digest. A digest can be tried out by whoever reads the record, so no variable that may be a secret belongs here: an app's
 * others only reach programs that a build runs, and then there is no record.
 */
export const VARIABLES = [
  'NODE_ENV',
  'NODE_OPTIONS',
  'CNB_BUILDPACK_DIR',
  'CNB_TARGET_ARCH',
  'CNB_TARGET_DISTRO_NAME',
  'CNB_TARGET_DISTRO_VERSION',
  'CROFT_NODE',
  'CROFT_NPM',
] as const
export type Variable = (typeof VARIABLES)[number]

/** What a build looked at in the app's folder and elsewhere, and did there. Paths are relative to the app's folder or absolute. */
export interface Noted {
  /** SHA-256 of the files that were read. */
  digests: Map<string, string>
  present: Set<string>
  absent: Set<string>
  links: Map<string, string>
}

export interface RecordInput {
  noted: Noted
  variables: Readonly<Partial<Record<Variable, string>>>
  /** The buildpack's folder of layers, and the record's own. */
  layersDirectory: string
  folder: string
  /** What came back: names in the folder of layers, with the SHA-256 of those that are files, null of folders. */
  before: ReadonlyMap<string, string | null>
  /** The files of the build's end that are new or other than they were: names and texts. */
  written: ReadonlyMap<string, string>
  /** What was said, whole lines. */
  said: string
}

/** The texts of the three files; null when something in it is of a kind that a shell may take for something else. */
export function recordTexts(input: RecordInput): { seal: string; sums: string; record: string } | null {
  const { noted, layersDirectory, folder, before } = input
  const places = [...noted.digests.keys(), ...noted.present, ...noted.absent, ...noted.links.keys(), ...before.keys()]
  const texts = [...input.written.values(), ...(input.said === '' ? [] : [input.said])]
  const isPlain =
    [...places, layersDirectory, folder, ...noted.links.values()].every((path) => /^[!-[\]-~]+$/.test(path)) &&
    texts.every((text) => text.endsWith('\n')) &&
    Object.values(input.variables).every((value) => !value.includes('\n'))
  if (!isPlain) return null
  const record = recordText(input)
  if (!/^[\n -~]*$/.test(record)) return null
  const came = [...before].flatMap(([name, digest]) => (digest === null ? [] : [[inFolder(input, name), digest]]))
  const read = [...noted.digests].map(([path, digest]) => [path.startsWith('/') ? path : `./${path}`, digest])
  const variables = VARIABLES.map((name) => lineOf(name, input.variables[name])).join('')
  const own = [`${folder}/record`, sha256(record)]
  const sums = [own, ...came, ...read, ['-', sha256(variables)]].map(([path, digest]) => sum(digest, path)).join('')
  return { seal: sum(sha256(sums), `${folder}/sums`), sums, record }
}

function recordText(input: RecordInput): string {
  const { noted, folder, before } = input
  const own = folder.slice(input.layersDirectory.length + 1)
  const entries = [...before.keys(), own, `${own}.toml`].toSorted().map((name) => inFolder(input, name))
  const folders = [...noted.links.keys()].flatMap((place) =>
    place.includes('/') ? [place.replace(/\/[^/]*$/, '')] : [],
  )
  const lines = [
    `entries ${entries.join(' ')}`,
    ...[...noted.absent].map((path) => `absent ${path}`),
    ...[...noted.present].map((path) => `present ${path}`),
    ...folders.map((path) => `folder ${path}`),
    ...[...noted.links].map(([path, target]) => `link ${path} ${target}`),
    ...[...input.written].flatMap(([name, text]) => [`file ${inFolder(input, name)}`, ...linesOf(text).map(plus)]),
    ...linesOf(input.said).map((line) => `say ${line}`),
    'end',
  ]
  return `${lines.join('\n')}\n`
}

const lineOf = (name: Variable, value?: string): string => (value === undefined ? `${name}\n` : `${name}=${value}\n`)
const plus = (line: string): string => `+ ${line}`
const linesOf = (text: string): string[] => (text === '' ? [] : text.slice(0, -1).split('\n'))
const inFolder = ({ layersDirectory }: RecordInput, name: string): string => `${layersDirectory}/${name}`
const sum = (digest = '', path = ''): string => `${digest}  ${path}\n`

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
