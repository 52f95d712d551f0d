import { chmod, lstat, mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { bareEnv, run } from '@croft/kit'
import {
  describeChoice,
  LifecycleError,
  parseBuildpackToml,
  surroundOrder,
  type Buildpack,
  type Order,
  type OrderEntry,
} from '@croft/lifecycle'
import type { Owner } from '@croft/oci'
import type { BuildWishes, WishedBuildpack } from '@croft/protocol'
import { listBeneath, readBeneath } from '../build/beneath.js'
import type { BuildFolders } from '../build/build-folders.js'
import type { InstalledBuildpacks } from '../build/installed-buildpacks.js'
import { isAllowedSource } from './allowed-source.js'
import type { GitSource } from './git-source.js'
import { readPins, writePins } from './pins.js'
import { styleOf } from './style.js'

/** Where the build container sees the buildpacks that came from elsewhere. */
export const FOREIGN = '/cnb/croft/foreign'
const CLASSIC = 'croft/classic'
const PROCFILE = 'croft/procfile'
const TOML_BYTES = 256 * 1024
const COMMAND_TIMEOUT_MS = 60_000

export interface WishedInput {
  wishes: BuildWishes
  installed: InstalledBuildpacks
  folders: Pick<BuildFolders, 'foreign' | 'workspace' | 'owner'>
  git: GitSource
  /** Where it is kept which commit a branch or a tag stood for when the app first used it. */
  pins: string
  /** Asks again what branches and tags stand for. */
  isClean: boolean
  signal: AbortSignal
}

/** What is tried, and what the push says of it. */
export interface Wished extends InstalledBuildpacks {
  lines: { step: string; details: string[] } | null
}

/** Whether anything of what an app wants has to be brought into the build container. */
export function bringsBuildpacks({ group, pre, post }: BuildWishes): boolean {
  return [...(group ?? []), ...pre, ...post].some(({ kind }) => kind !== 'installed')
}

/**
 * Brings the buildpacks that an app wants into its build: fetched at the commit they were pinned to, copied from its source, or
 * written from a script; classic ones behind one another for the buildpack that runs those. The app's source must be in place
 * and nothing of it may run yet.
 * @throws LifecycleError for one that is not there, may not be used or is none
 */
export async function wishedBuildpacks(input: WishedInput): Promise<Wished> {
  const { wishes, installed } = input
  if (wishes.group === null && wishes.pre.length === 0 && wishes.post.length === 0) return { ...installed, lines: null }
  const bringer = new Bringer(input)
  const pre = await bringer.bring(wishes.pre)
  const group = wishes.group === null ? null : await bringer.bring(wishes.group)
  const post = await bringer.bring(wishes.post)
  await bringer.nameClassics()
  const order: Order = group === null ? installed.order : [{ group: withProcfile(group, installed) }]
  return {
    buildpacks: [...bringer.brought, ...installed.buildpacks],
    order: surroundOrder(order, pre, post),
    lines: {
      step: `Using buildpacks of ${wishes.from === '' ? 'project.toml' : wishes.from}`,
      details: bringer.details,
    },
  }
}

/** A Procfile says how an app is started whoever builds it; the buildpack for classic ones reads it itself. */
function withProcfile(group: OrderEntry[], { buildpacks }: InstalledBuildpacks): OrderEntry[] {
  const isThere = buildpacks.some(({ id }) => id === PROCFILE)
  const isRead = group.some(({ id }) => id === CLASSIC || id === PROCFILE)
  return isRead || !isThere ? group : [...group, { id: PROCFILE, optional: true }]
}

class Bringer {
  readonly brought: Buildpack[] = []
  readonly details: string[] = []
  readonly #classics: string[] = []
  #serial = 0

  constructor(private readonly input: WishedInput) {}

  async bring(wanted: readonly WishedBuildpack[]): Promise<OrderEntry[]> {
    const entries: OrderEntry[] = []
    for (const wished of wanted) {
      const entry = await this.#bringOne(wished)
      if (entry.id !== CLASSIC || entries.at(-1)?.id !== CLASSIC) entries.push(entry)
    }
    if (entries.filter(({ id }) => id === CLASSIC).length > 1) {
      const title = 'classic buildpacks stand on both sides of another one'
      throw new LifecycleError('detect', title, 'name the classic ones behind one another')
    }
    return entries
  }

  /** What the buildpack for classic ones reads: their names, in the order of their folders. */
  async nameClassics(): Promise<void> {
    if (this.#classics.length === 0) return
    const names = this.#classics.map((name) => `${name}\n`).join('')
    await writeFile(join(this.input.folders.foreign, 'classic', 'names'), names)
    const runner = this.input.installed.buildpacks.find(({ id }) => id === CLASSIC)
    if (runner !== undefined) this.brought.push({ ...runner, origin: this.#classics.join(', ') })
  }

  async #bringOne(wished: WishedBuildpack): Promise<OrderEntry> {
    if (wished.kind === 'installed') {
      const found = this.input.installed.buildpacks.find(
        ({ id, version }) => id === wished.id && (wished.version === null || version === wished.version),
      )
      if (found === undefined) throw notInstalled(wished, this.input.installed.buildpacks)
      this.details.push(`${found.id} ${found.version}`)
      return { id: found.id, version: found.version }
    }
    this.#serial += 1
    const draft = join(this.input.folders.foreign, String(this.#serial))
    const name = await this.#write(wished, draft)
    this.details.push(name)
    return this.#settle(name, draft)
  }

  /** Makes the folder `draft` with the files of a buildpack; gives its name for people. */
  async #write(wished: Exclude<WishedBuildpack, { kind: 'installed' }>, draft: string): Promise<string> {
    const name = describeChoice(wished)
    switch (wished.kind) {
      case 'git': {
        const commit = await this.#commitOf(wished)
        await this.input.git.checkOut(wished.url, commit, draft, this.input.signal)
        return `${name} at ${commit.slice(0, 12)}`
      }
      case 'folder':
        await copyFolder(this.input.folders.workspace, wished.path, draft)
        return name
      case 'inline':
        await writeInline(wished, draft)
        return name
    }
  }

  async #commitOf({ url, ref }: Extract<WishedBuildpack, { kind: 'git' }>): Promise<string> {
    const { wishes, git, pins, isClean, signal } = this.input
    if (!isAllowedSource(url, wishes.sources)) {
      const title = `buildpacks may not be fetched from ${url} on this platform`
      const allowed = wishes.sources.length === 0 ? 'none' : `those at or below ${wishes.sources.join(', ')}`
      throw new LifecycleError(
        'detect',
        title,
        `allowed are ${allowed}; \`croft buildpacks\` lists those that are here`,
      )
    }
    const key = `${url}#${ref ?? ''}`
    const kept = await readPins(pins)
    const pinned = isClean ? undefined : kept[key]
    const commit = await git.fetch(url, pinned ?? ref, signal).catch((error: unknown) => {
      if (pinned === undefined || !(error instanceof LifecycleError)) throw error
      const suggestion = `push again later, or with -o rebuild to take what ${ref ?? 'its HEAD'} stands for now`
      throw new LifecycleError('detect', error.title, suggestion, { cause: error })
    })
    if (kept[key] !== commit) await writePins(pins, { ...kept, [key]: commit })
    return commit
  }

  /** Decides what it is, and puts it where its kind belongs. */
  async #settle(name: string, draft: string): Promise<OrderEntry> {
    const toml = (await readBeneath(draft, ['buildpack.toml'], TOML_BYTES)) ?? null
    const [top, bin] = [(await listBeneath(draft, [])) ?? [], (await listBeneath(draft, ['bin'])) ?? []]
    const style = styleOf(new Set([...top.map((file) => file.name), ...bin.map((file) => `bin/${file.name}`)]), toml)
    if (style.kind === 'none') throw new LifecycleError('detect', `${name} ${style.why}`, 'name another buildpack')
    await giveTo(this.input.folders.owner, draft)
    if (style.kind === 'classic') return this.#classic(name, draft)
    const read = parseBuildpackToml(toml ?? '', `buildpack.toml of ${name}`)
    const { id, version } = read.buildpack
    const directory = `${FOREIGN}/${draft.split('/').at(-1)}`
    const found = { id, version, api: read.api, name: read.buildpack.name ?? id, directory, toml: read }
    this.brought.push({ ...found, origin: name })
    return { id, version }
  }

  async #classic(name: string, draft: string): Promise<OrderEntry> {
    if (this.input.installed.buildpacks.every(({ id }) => id !== CLASSIC)) {
      throw new LifecycleError(
        'detect',
        `${name} is a classic buildpack, which ${CLASSIC} runs, which is not installed`,
        'ask whoever runs this platform',
      )
    }
    this.#classics.push(name)
    const folder = join(this.input.folders.foreign, 'classic', String(this.#classics.length))
    await mkdir(dirname(folder), { recursive: true, mode: 0o755 })
    await rename(draft, folder)
    return { id: CLASSIC }
  }
}

function notInstalled(wished: WishedBuildpack, buildpacks: readonly Buildpack[]): LifecycleError {
  const there = buildpacks.map(({ id }) => id).join(', ')
  return new LifecycleError(
    'detect',
    `there is no buildpack ${describeChoice(wished)} here`,
    `installed are ${there}; or name the https address of its repository`,
  )
}

/** Copies a folder of the app's source; nothing of the way there may be a link. */
async function copyFolder(workspace: string, path: string, to: string): Promise<void> {
  let at = workspace
  for (const part of path.split('/')) {
    at = join(at, part)
    const found = await lstat(at).catch(() => null)
    if (found?.isDirectory() !== true) {
      throw new LifecycleError(
        'detect',
        `./${path} is no folder of the source`,
        'correct the name, then commit and push again',
      )
    }
  }
  await run('cp', ['--archive', '--no-target-directory', '--', at, to], {
    timeoutMs: COMMAND_TIMEOUT_MS,
    env: bareEnv(),
  })
}

async function writeInline(wished: Extract<WishedBuildpack, { kind: 'inline' }>, to: string): Promise<void> {
  await mkdir(join(to, 'bin'), { recursive: true })
  const toml = `api = ${JSON.stringify(wished.api)}\n[buildpack]\nid = ${JSON.stringify(wished.id)}\nversion = "0.0.0"\n`
  await writeFile(join(to, 'buildpack.toml'), toml)
  for (const [program, script] of [
    ['detect', '#!/bin/sh\nexit 0\n'],
    ['build', `#!${wished.shell}\n\n${wished.script}\n`],
  ] as const) {
    await writeFile(join(to, 'bin', program), script)
    await chmod(join(to, 'bin', program), 0o755)
  }
}

/** Classic buildpacks write into their own folder. */
async function giveTo({ uid, gid }: Owner, folder: string): Promise<void> {
  await run('chown', ['--recursive', '--no-dereference', `${uid}:${gid}`, '--', folder], {
    timeoutMs: COMMAND_TIMEOUT_MS,
    env: bareEnv(),
  })
  await chmod(folder, 0o755)
}
