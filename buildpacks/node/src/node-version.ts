import intersects from 'semver/ranges/intersects.js'
import validRange from 'semver/ranges/valid.js'
import semverSatisfies from 'semver/functions/satisfies.js'
import { BuildFailure } from '@croft/buildpack-kit'

/** Which Node an app asks for. */
export interface WantedNode {
  /** A semver range. */
  range: string
  /** Where it is written; null when the app says nothing. */
  source: string | null
}

/** The line that is used when an app says nothing: the present LTS. */
const DEFAULT_RANGE = '24.x'
const LTS_NAMES: Record<string, string> = { iron: '20.x', jod: '22.x', krypton: '24.x' }
const OLDEST = '18.0.0'

/**
 * The version an app asks for: `engines.node` of package.json, else `.nvmrc`, else `.node-version`, else the present LTS. Pure.
 * @throws BuildFailure for something that is no version
 */
export function wantedNode(files: {
  engines: string | undefined
  nvmrc: string | undefined
  nodeVersion: string | undefined
}): WantedNode {
  const said: [source: string, value: string | undefined][] = [
    ['package.json engines.node', files.engines],
    ['.nvmrc', firstLine(files.nvmrc)],
    ['.node-version', firstLine(files.nodeVersion)],
  ]
  for (const [source, value] of said) {
    if (value !== undefined && value.trim() !== '') return { range: rangeOf(value.trim(), source), source }
  }
  return { range: DEFAULT_RANGE, source: null }
}

function firstLine(text: string | undefined): string | undefined {
  return text
    ?.split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .find((line) => line !== '')
}

function rangeOf(value: string, source: string): string {
  const alias = value.toLowerCase()
  if (['lts', 'lts/*', 'node', 'stable', 'latest', 'current', '*'].includes(alias)) return DEFAULT_RANGE
  const named = LTS_NAMES[alias.replace(/^lts\//, '')]
  if (named !== undefined) return named
  const range = validRange(value, { loose: true })
  if (range === null) {
    throw new BuildFailure(
      `${source} asks for Node.js "${value}", which is no version`,
      `write a version there, e.g. "24.x"`,
    )
  }
  if (!intersects(range, `>=${OLDEST}`)) {
    throw new BuildFailure(
      `${source} asks for Node.js "${value}", which is older than ${OLDEST}`,
      'ask for 20.x, 22.x, 24.x or 26.x',
    )
  }
  return value
}

/** Whether a version is in a range, pre-releases aside. Pure. */
export function satisfies(version: string, range: string): boolean {
  return semverSatisfies(version, range, { loose: true })
}
