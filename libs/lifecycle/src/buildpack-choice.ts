/**
 * A buildpack as people name it: in project.toml, in `.buildpacks`, in an app's setting. Git addresses are only ever https, so that
 * fetching one shows no credential and reads no local file. Pure.
 */
export type BuildpackChoice =
  /** One that is installed; without a version the only one there is. */
  | { kind: 'installed'; id: string; version: string | null }
  /** A branch, a tag or a commit of a repository; null: what its HEAD names. */
  | { kind: 'git'; url: string; ref: string | null }
  /** A folder of the app's own source. */
  | { kind: 'folder'; path: string }
  /** A script in project.toml. */
  | { kind: 'inline'; id: string; api: string; shell: string; script: string }

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/
const VERSION = /^[A-Za-z0-9][A-Za-z0-9._+-]*$/
const REF = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$/
const MAX_LENGTH = 500

/** Reads `ID[@VERSION]`, `https://HOST/PATH[.git][#REF]`, `./FOLDER` or `urn:cnb:builder:ID[@VERSION]`; null for anything else. */
export function parseBuildpackChoice(text: string): BuildpackChoice | null {
  if (text.length > MAX_LENGTH) return null
  const plain = text.replace(/^(urn:cnb:builder:|urn:buildpack:|from=builder:)/, '')
  if (/^https:\/\//i.test(plain)) return gitChoice(plain)
  if (plain.startsWith('./') || plain === '.') return folderChoice(plain)
  const [id = '', version, ...more] = plain.split('@')
  if (more.length > 0 || !ID.test(id) || (version !== undefined && !VERSION.test(version))) return null
  return { kind: 'installed', id, version: version ?? null }
}

function gitChoice(text: string): BuildpackChoice | null {
  const [address = '', ref, ...more] = text.split('#')
  if (more.length > 0 || !URL.canParse(address)) return null
  const url = new URL(address)
  const hasMore = url.username !== '' || url.password !== '' || url.search !== ''
  if (hasMore || url.pathname === '/' || (ref !== undefined && ref !== '' && !isRef(ref))) return null
  return { kind: 'git', url: url.href, ref: ref === undefined || ref === '' ? null : ref }
}

function isRef(ref: string): boolean {
  return REF.test(ref) && !ref.includes('..') && !ref.endsWith('.lock') && !ref.endsWith('/')
}

function folderChoice(text: string): BuildpackChoice | null {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.')
  return parts.includes('..') || parts.length === 0 ? null : { kind: 'folder', path: parts.join('/') }
}

/** How people read a choice again. */
export function describeChoice(choice: BuildpackChoice): string {
  switch (choice.kind) {
    case 'installed':
      return choice.version === null ? choice.id : `${choice.id}@${choice.version}`
    case 'git':
      return choice.ref === null ? choice.url : `${choice.url}#${choice.ref}`
    case 'folder':
      return `./${choice.path}`
    case 'inline':
      return `the script ${choice.id} of project.toml`
  }
}

/** What a line of `.buildpacks` is wrong with. */
export class BuildpacksFileError extends Error {
  constructor(
    readonly line: number,
    rule: string,
  ) {
    super(`.buildpacks, line ${line}: ${rule}`)
  }
}

/** The buildpacks of a `.buildpacks` file, one on a line; empty lines and those that begin with # say nothing. @throws BuildpacksFileError */
export function parseBuildpacksFile(text: string): BuildpackChoice[] {
  return text.split(/\r\n|\n/).flatMap((line, at) => {
    const word = line.trim()
    if (word === '' || word.startsWith('#')) return []
    const choice = parseBuildpackChoice(word)
    if (choice === null)
      throw new BuildpacksFileError(at + 1, `not a buildpack: ${word.slice(0, 80)} (expected ${CHOICE_FORMS})`)
    return [choice]
  })
}

/** What people may write, for messages. */
export const CHOICE_FORMS = 'an id, id@version, https://HOST/REPOSITORY.git#REF or ./FOLDER'
