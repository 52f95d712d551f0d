import type { Digest } from '@croft/kit'
import {
  escapeId,
  inheritedEnv,
  LifecycleError,
  parseBuilderImage,
  parseBuildpackToml,
  parseOrderToml,
  parseRunToml,
  parseSystemToml,
  surroundOrder,
  type BuilderBuildpack,
  type BuilderImage,
  type Buildpack,
  type Env,
  type Order,
  type Target,
} from '@croft/lifecycle'
import { parseReference, type Image, type Owner } from '@croft/oci'
import type { UsedBuilder } from '@croft/protocol'
import type { InstalledBuildpacks } from '../build/installed-buildpacks.js'
import type { PreparedBuild } from '../build/running-build.js'
import { readPins, writePins, type Pins } from '../buildpack/pins.js'
import { distributionOf, homeOf, ownerOf, type Accounts } from './accounts.js'
import { bringImage, pinOf, type BroughtImage } from './bring-image.js'
import { DEFAULT_PATH, groundLabels, targetOf, type Ground, type GroundRunImage } from './ground.js'
import { readInImage } from './image-files.js'

/** Where a builder image has its buildpacks, and what says in which order they are tried. */
const CNB = ['cnb']
const BUILDPACKS = '/cnb/buildpacks'
const FILE_BYTES = 1024 * 1024

/**
 * The ground that a builder image is: its buildpacks in its order build on it, and what they build stands on its run image. Both
 * images come through the platform; what a tag stood for at the app's first build stays until a build from scratch.
 * @throws LifecycleError for one that cannot be had, is no builder or asks for what is not there
 */
export async function builderGround(given: PreparedBuild, reference: string, pinsPath: string): Promise<Ground> {
  const { log, ports } = given
  const kept = await readPins(pinsPath)
  const pins = given.spec.isClean ? {} : kept
  const startedAt = ports.clock.monotonic()
  log.step(`Using the builder image ${reference}`)
  const brought = await bringImage(reference, given, pins)
  const env = envOf(brought.image)
  const labels = brought.image.config.config?.Labels ?? {}
  const builder = parseBuilderImage(reference, { env, labels })
  const run = await bringRunImage(await runImagesOf(builder, brought), { given, reference, pins })
  log.detail(brought.digest, ports.clock.monotonic() - startedAt)
  log.detail(`run image ${run.reference}`)
  const target = await targetIn(run, brought)
  const name = ['builder', builder.stackId, target.distroName, target.distroVersion, builder.user.uid].join(' ')
  const used: UsedBuilder = {
    reference,
    digest: brought.digest,
    runImage: { reference: run.reference, digest: run.digest },
  }
  const installed = await buildpacksIn(builder, brought)
  // only now is it known that they are of use
  const now = Object.fromEntries([brought, run].map((one) => [pinOf(one.reference), one.digest]))
  if (Object.entries(now).some(([key, digest]) => kept[key] !== digest)) await writePins(pinsPath, { ...kept, ...now })
  return {
    name,
    stack: null,
    containerImage: () => `croft:${brought.digest}`,
    user: builder.user,
    env: {
      HOME: homeOf(builder.user, await accountsIn(brought)) ?? '/tmp',
      ...inheritedEnv(env),
      PATH: env['PATH'] ?? DEFAULT_PATH,
      ...(builder.stackId !== '' && { CNB_STACK_ID: builder.stackId }),
    },
    target,
    installed,
    runImage: await runImageOf(run, builder.user, groundLabels(name, used)),
    builder: used,
  }
}

/** Its references, those of the builder's own registry first: it is the nearest. @throws LifecycleError when there is none */
async function runImagesOf(builder: BuilderImage, { reference, trees }: BroughtImage): Promise<string[]> {
  const file = (await readInImage(trees, [...CNB, 'run.toml'], FILE_BYTES)) ?? ''
  const named = builder.runImages.length > 0 ? builder.runImages : parseRunToml(file, `run.toml of ${reference}`)
  if (named.length === 0) {
    throw new LifecycleError('detect', `${reference} names no run image`, 'ask whoever makes the builder image')
  }
  const { host } = parseReference(reference)
  const isNear = (one: string): boolean => hostOf(one) === host
  return [...named.filter(isNear), ...named.filter((one) => !isNear(one))]
}

function hostOf(reference: string): string | null {
  try {
    return parseReference(reference).host
  } catch {
    return null // refused when it is its turn
  }
}

/** The first of several references that can be had; what is said of the last one otherwise. */
async function bringRunImage(
  references: readonly string[],
  { given, reference, pins }: { given: PreparedBuild; reference: string; pins: Pins },
): Promise<BroughtImage> {
  let refused: unknown
  for (const one of references) {
    try {
      return await bringImage(one, given, pins)
    } catch (error) {
      if (!(error instanceof LifecycleError)) throw error
      refused = new LifecycleError(
        'detect',
        `the run image of ${reference}: ${error.title}`,
        error.suggestion ?? 'name another builder image',
        { cause: error },
      )
    }
  }
  throw refused
}

/** The buildpacks of the image, and its order with what it puts around every group. */
async function buildpacksIn(builder: BuilderImage, brought: BroughtImage): Promise<InstalledBuildpacks> {
  const { reference, trees } = brought
  const read = (name: string): Promise<string | undefined> => readInImage(trees, [...CNB, name], FILE_BYTES)
  const written = await read('order.toml')
  const order: Order = written === undefined ? builder.order : parseOrderToml(written, `order.toml of ${reference}`)
  const { pre, post } = parseSystemToml((await read('system.toml')) ?? '', `system.toml of ${reference}`)
  return {
    buildpacks: await Promise.all(builder.buildpacks.map((one) => readBuildpack(one, brought))),
    order: surroundOrder(order, pre, post),
  }
}

async function readBuildpack(
  { id, version, diffId }: BuilderBuildpack,
  { reference, digest, trees }: BroughtImage,
): Promise<Buildpack> {
  const folder = [escapeId(id), version]
  const what = `buildpack.toml of ${id}@${version} in ${reference}`
  const text = await readInImage(trees, [...CNB, 'buildpacks', ...folder, 'buildpack.toml'], FILE_BYTES)
  if (text === undefined) {
    throw new LifecycleError(
      'detect',
      `${reference} names ${id}@${version} and does not hold it: there is no ${BUILDPACKS}/${folder.join('/')}`,
      'ask whoever makes the builder image',
    )
  }
  const toml = parseBuildpackToml(text, what)
  if (toml.buildpack.id !== id || toml.buildpack.version !== version) {
    const title = `${what} is that of ${toml.buildpack.id}@${toml.buildpack.version}`
    throw new LifecycleError('detect', title, 'ask whoever makes the builder image')
  }
  const directory = [BUILDPACKS, ...folder].join('/')
  return { id, version, api: toml.api, name: toml.buildpack.name ?? id, directory, toml, origin: diffId ?? digest }
}

/** What the run image says it is, else what the builder image says, else what lies in that. */
async function targetIn(run: BroughtImage, builder: BroughtImage): Promise<Target> {
  for (const { image } of [run, builder]) {
    const target = targetOf(image.config.config?.Labels ?? {})
    if (target.distroName !== '') return target
  }
  const read = (...parts: string[]): Promise<string | undefined> => readInImage(builder.trees, parts, FILE_BYTES)
  const text = (await read('etc', 'os-release')) ?? (await read('usr', 'lib', 'os-release')) ?? ''
  const { name, version } = distributionOf(text)
  return { ...targetOf({}), distroName: name, distroVersion: version }
}

async function runImageOf(run: BroughtImage, builtBy: Owner, labels: Record<string, string>): Promise<GroundRunImage> {
  const { image, reference, digest } = run
  const { User: user = '', Labels } = image.config.config ?? {}
  const { uid, gid } = (user === '' ? null : ownerOf(user, await accountsIn(run))) ?? builtBy
  return {
    layers: layersOf(image),
    env: envOf(image),
    user: `${uid}:${gid}`,
    labels: { ...Labels, ...labels },
    reference: digest,
    name: reference,
    architecture: image.config.architecture,
    layerName: reference.slice(0, 60),
    owner: { uid, gid },
    openBlob: ({ diffId }) => {
      throw new LifecycleError('export', `layer ${diffId} of ${reference} is gone`, 'push with -o rebuild')
    },
  }
}

function layersOf({ manifest, config }: Image): GroundRunImage['layers'] {
  return manifest.layers.map((descriptor, index) => ({
    diffId: config.rootfs.diff_ids[index] as Digest, // both documents have as many
    descriptor,
  }))
}

function envOf({ config }: Image): Env {
  return Object.fromEntries((config.config?.Env ?? []).map((entry) => entry.split(/=(.*)/s, 2) as [string, string]))
}

async function accountsIn({ trees }: BroughtImage): Promise<Accounts> {
  const read = async (name: string): Promise<string> => (await readInImage(trees, ['etc', name], FILE_BYTES)) ?? ''
  return { passwd: await read('passwd'), group: await read('group') }
}
