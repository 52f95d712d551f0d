import { parse } from 'smol-toml'
import { BuildFailure } from '@croft/buildpack-kit'
import { markerHolds, type MarkerEnvironment } from './markers.js'
import { normalName } from './package-name.js'
import { parseRequirement, type Requirement } from './requirements.js'

/** Lock files of Pipenv, Poetry and uv, as the packages an app needs when it runs. Pure. */

/** A package of a lock file: its one version, and what pip checks it against. */
export interface Locked extends Requirement {
  version: string
  hashes: string[]
}

type Table = Record<string, unknown>

/** A package of poetry.lock or uv.lock before it is known whether it is needed. */
interface Node {
  name: string
  version: string
  hashes: string[]
  /** Where it comes from when not from an index. */
  url: string | null
  needs: Edge[]
  /** By extra. */
  optional: Map<string, Edge[]>
}

interface Edge {
  name: string
  extras: string[]
  marker: string | null
}

/** The section `default` of Pipfile.lock. @throws BuildFailure when it is no lock file */
export function readPipfileLock(text: string, environment: MarkerEnvironment): Locked[] {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw unreadable('Pipfile.lock', error)
  }
  return Object.entries(tableAt(document, 'default')).flatMap(([name, entry]) => {
    const marker = stringIn(entry, 'markers')
    if (!markerHolds(marker, environment)) return []
    const version = stringIn(entry, 'version')?.replace(/^===?/, '') ?? ''
    const extras = stringsIn(entry, 'extras')
    const url = stringIn(entry, 'git') ?? stringIn(entry, 'file') ?? stringIn(entry, 'path')
    return [locked(name, version, extras, stringsIn(entry, 'hashes'), url)]
  })
}

/** What pyproject.toml needs out of poetry.lock, without the groups of development. @throws BuildFailure */
export function readPoetryLock(text: string, project: unknown, environment: MarkerEnvironment): Locked[] {
  const nodes = nodesOf(tomlOf(text, 'poetry.lock'), 'poetry.lock', (entry) => ({
    hashes: hashesOf(arrayAt(entry, 'files'), 'hash'),
    url: stringIn(at(entry, 'source'), 'type') === 'legacy' ? null : stringIn(at(entry, 'source'), 'url'),
    needs: Object.entries(tableAt(entry, 'dependencies')).flatMap(([name, value]) => poetryEdges(name, value)),
    optional: extrasOf(tableAt(entry, 'extras')),
  }))
  const poetry = at(at(project, 'tool'), 'poetry')
  const roots = [
    ...Object.entries(tableAt(poetry, 'dependencies')).flatMap(([name, value]) => poetryEdges(name, value)),
    ...projectEdges(project),
  ]
  return needed(
    nodes,
    roots.filter(({ name }) => name !== 'python'),
    environment,
  )
}

/** What the project needs out of uv.lock, without the groups of development. @throws BuildFailure */
export function readUvLock(text: string, environment: MarkerEnvironment): Locked[] {
  const document = tomlOf(text, 'uv.lock')
  const nodes = nodesOf(document, 'uv.lock', (entry) => ({
    hashes: [...hashesOf([at(entry, 'sdist')], 'hash'), ...hashesOf(arrayAt(entry, 'wheels'), 'hash')],
    url: stringIn(at(entry, 'source'), 'git') ?? stringIn(at(entry, 'source'), 'url'),
    needs: uvEdges(arrayAt(entry, 'dependencies')),
    optional: new Map(
      Object.entries(tableAt(entry, 'optional-dependencies')).map(([extra, list]) => [
        normalName(extra),
        uvEdges(Array.isArray(list) ? list : []),
      ]),
    ),
  }))
  const own = arrayAt(document, 'package').find((entry) => {
    const source = at(entry, 'source')
    return ['virtual', 'editable', 'directory'].some((kind) => stringIn(source, kind) === '.')
  })
  if (own === undefined) {
    throw new BuildFailure('uv.lock does not hold the project itself', 'run `uv lock`, commit uv.lock and push again')
  }
  const roots = uvEdges(arrayAt(own, 'dependencies'))
  return needed(nodes, roots, environment)
}

/** `dependencies` of the project table of pyproject.toml. */
export function projectRequirements(project: unknown): Requirement[] {
  const list = at(at(project, 'project'), 'dependencies')
  return (Array.isArray(list) ? list : []).flatMap((text) => {
    const requirement = typeof text === 'string' ? parseRequirement(text) : null
    if (requirement === null) {
      throw new BuildFailure(`pyproject.toml: ${JSON.stringify(text)} is no dependency`, 'write it as  "name>=1.2"')
    }
    return [requirement]
  })
}

function projectEdges(project: unknown): Edge[] {
  return projectRequirements(project).map(({ name, extras, marker }) => ({ name, extras, marker }))
}

function nodesOf(
  document: Table,
  file: string,
  read: (entry: unknown) => Pick<Node, 'hashes' | 'url' | 'needs' | 'optional'>,
): Node[] {
  return arrayAt(document, 'package').map((entry) => {
    const name = stringIn(entry, 'name')
    if (name === null) throw new BuildFailure(`${file}: a package has no name`, 'make the lock file again and push it')
    return { name: normalName(name), version: stringIn(entry, 'version') ?? '', ...read(entry) }
  })
}

/** Everything that `roots` need here, with the extras they ask for; each package once. */
function needed(nodes: readonly Node[], roots: readonly Edge[], environment: MarkerEnvironment): Locked[] {
  const done = new Map<string, { node: Node; extras: Set<string> }>()
  const waiting = roots.map((edge) => ({ edge, extras: new Set<string>() }))
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { edge, extras } = next
    if (!markerHolds(edge.marker, { ...environment, extras })) continue
    for (const node of nodes.filter(({ name }) => name === edge.name)) {
      const key = `${node.name} ${node.version}`
      const known = done.get(key) ?? { node, extras: new Set<string>() }
      const fresh = edge.extras.filter((extra) => !known.extras.has(extra))
      if (done.has(key) && fresh.length === 0) continue
      for (const extra of fresh) known.extras.add(extra)
      const edges = [...(done.has(key) ? [] : node.needs), ...fresh.flatMap((extra) => node.optional.get(extra) ?? [])]
      done.set(key, known)
      waiting.push(...edges.map((one) => ({ edge: one, extras: known.extras })))
    }
  }
  return [...done.values()]
    .map(({ node, extras }) => locked(node.name, node.version, [...extras], node.hashes, node.url))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function locked(name: string, version: string, extras: string[], hashes: string[], url: string | null): Locked {
  const specifiers = version === '' ? '' : `==${version}`
  return {
    name: normalName(name),
    extras: extras.map(normalName).toSorted(),
    specifiers,
    marker: null,
    url,
    version,
    hashes,
  }
}

function uvEdges(list: readonly unknown[]): Edge[] {
  return list.flatMap((entry) => {
    const name = stringIn(entry, 'name')
    return name === null
      ? []
      : [
          {
            name: normalName(name),
            extras: stringsIn(entry, 'extra').map(normalName),
            marker: stringIn(entry, 'marker'),
          },
        ]
  })
}

/** Poetry writes a version, a table, or an array of tables for different environments. An optional one is asked for by an extra. */
function poetryEdges(name: string, value: unknown): Edge[] {
  return (Array.isArray(value) ? value : [value]).flatMap((one) =>
    at(one, 'optional') === true
      ? []
      : [
          {
            name: normalName(name),
            extras: stringsIn(one, 'extras').map(normalName),
            marker: stringIn(one, 'markers'),
          },
        ],
  )
}

function extrasOf(table: Table): Map<string, Edge[]> {
  return new Map(
    Object.entries(table).map(([extra, list]) => [
      normalName(extra),
      (Array.isArray(list) ? list : []).flatMap((text) => {
        const requirement = typeof text === 'string' ? parseRequirement(text) : null
        return requirement === null
          ? []
          : [{ name: requirement.name, extras: requirement.extras, marker: requirement.marker }]
      }),
    ]),
  )
}

function hashesOf(list: readonly unknown[], key: string): string[] {
  return list.flatMap((entry) => stringIn(entry, key) ?? [])
}

function tomlOf(text: string, file: string): Table {
  try {
    return parse(text)
  } catch (error) {
    throw unreadable(file, error)
  }
}

function unreadable(file: string, error: unknown): BuildFailure {
  const [why = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  return new BuildFailure(`${file} cannot be read: ${why}`, 'make it again with its own tool, commit it and push again')
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Table)[key] : undefined
}

function stringIn(value: unknown, key: string): string | null {
  const found = at(value, key)
  return typeof found === 'string' ? found : null
}

function stringsIn(value: unknown, key: string): string[] {
  const found = at(value, key)
  return Array.isArray(found) ? found.filter((one) => typeof one === 'string') : []
}

function tableAt(value: unknown, key: string): Table {
  const found = at(value, key)
  return typeof found === 'object' && found !== null && !Array.isArray(found) ? (found as Table) : {}
}

function arrayAt(value: unknown, key: string): unknown[] {
  const found = at(value, key)
  return Array.isArray(found) ? found : []
}
