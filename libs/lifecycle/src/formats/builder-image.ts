import { z } from 'zod'
import { isDigest, type Digest } from '@croft/kit'
import { LifecycleError } from '../errors.js'
import { BUILDPACK_APIS, isSupportedApi } from './buildpack-toml.js'
import { orderSchema, type Order } from './order-toml.js'

/** What a builder image says of itself in its configuration. Pure. */

/** A buildpack that lies in a builder image, at `/cnb/buildpacks/<id with _ for />/<version>`. */
export interface BuilderBuildpack {
  id: string
  version: string
  api: string
  /** Of the layer that holds it, where the image names that. */
  diffId: Digest | null
}

export interface BuilderImage {
  /** `io.buildpacks.stack.id`; empty where it names none. */
  stackId: string
  /** Whom builds run as. */
  user: { uid: number; gid: number }
  /** References of the run image and its mirrors, best first; empty: only a file of the image may say. */
  runImages: string[]
  buildpacks: BuilderBuildpack[]
  order: Order
}

const METADATA = 'io.buildpacks.builder.metadata'
const ORDER = 'io.buildpacks.buildpack.order'
const LAYERS = 'io.buildpacks.buildpack.layers'
const STACK_ID = 'io.buildpacks.stack.id'
const EXTENSION_LAYERS = 'io.buildpacks.extension.layers'
const EXTENSION_ORDER = 'io.buildpacks.buildpack.order-extensions'
const REMEDY = 'name an image that `pack builder create` made, or its kind'

const runImageSchema = z.looseObject({ image: z.string().default(''), mirrors: z.array(z.string()).nullish() })
const metadataSchema = z.looseObject({
  stack: z.looseObject({ runImage: runImageSchema.nullish() }).nullish(),
  images: z.array(runImageSchema).nullish(),
})
const layersSchema = z.record(
  z.string(),
  z.record(z.string(), z.looseObject({ api: z.string(), layerDiffID: z.string().optional() })),
)
/** Ids and versions are names of folders. */
const FOLDER = /^[A-Za-z0-9_-][A-Za-z0-9._+-]*$/
const extensionsSchema = z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]).nullish()

/**
 * Reads the labels and the environment of a builder image called `what`.
 * @throws LifecycleError for an image that is none, has image extensions, or buildpacks of an API that is not spoken here
 */
export function parseBuilderImage(
  what: string,
  { env, labels }: { env: Readonly<Record<string, string>>; labels: Readonly<Record<string, string>> },
): BuilderImage {
  const missing = [METADATA, ORDER, LAYERS].filter((name) => labels[name] === undefined)
  if (missing.length > 0) {
    throw refused(what, `is no builder image: it has no label ${missing.join(', ')}`, REMEDY)
  }
  const metadata = readLabel(metadataSchema, METADATA, labels, what)
  refuseExtensions(what, labels)
  const buildpacks = buildpacksOf(what, labels)
  return {
    stackId: labels[STACK_ID] ?? env['CNB_STACK_ID'] ?? '',
    user: { uid: idOf(what, env, 'CNB_USER_ID'), gid: idOf(what, env, 'CNB_GROUP_ID') },
    runImages: runImagesOf([metadata.stack?.runImage, ...(metadata.images ?? [])]),
    buildpacks,
    order: readLabel(orderSchema, ORDER, labels, what),
  }
}

/** The references of run images, each once, in the order they are named in. */
export function runImagesOf(
  named: readonly ({ image?: string | undefined; mirrors?: string[] | null | undefined } | null | undefined)[],
): string[] {
  const references = named.flatMap((one) => [one?.image ?? '', ...(one?.mirrors ?? [])])
  return [...new Set(references.filter((reference) => reference !== ''))]
}

function buildpacksOf(what: string, labels: Readonly<Record<string, string>>): BuilderBuildpack[] {
  const layers = readLabel(layersSchema, LAYERS, labels, what)
  const buildpacks = Object.entries(layers).flatMap(([id, versions]) =>
    Object.entries(versions).map(([version, { api, layerDiffID = '' }]) => ({
      id,
      version,
      api,
      diffId: isDigest(layerDiffID) ? layerDiffID : null,
    })),
  )
  const odd = buildpacks.find(({ id, version }) => ![...id.split('/'), version].every((part) => FOLDER.test(part)))
  if (odd !== undefined) throw refused(what, `names a buildpack ${JSON.stringify(`${odd.id}@${odd.version}`)}`, REMEDY)
  const unspoken = buildpacks.find(({ api }) => !isSupportedApi(api))
  if (unspoken !== undefined) {
    const { id, version, api } = unspoken
    const title = `the builder image ${what} holds ${id}@${version} of buildpack API ${api}, which this platform does not speak`
    throw new LifecycleError(
      'buildpack-api',
      title,
      `it speaks ${BUILDPACK_APIS.join(', ')}: use another release of it`,
    )
  }
  return buildpacks
}

function refuseExtensions(what: string, labels: Readonly<Record<string, string>>): void {
  const isEmpty = (name: string): boolean =>
    Object.keys(readLabel(extensionsSchema, name, labels, what) ?? {}).length === 0
  if (isEmpty(EXTENSION_LAYERS) && isEmpty(EXTENSION_ORDER)) return
  throw refused(what, 'has image extensions, which this platform does not run', 'use a builder image without them')
}

/** A label's JSON; one that is absent reads as `null`. @throws LifecycleError naming the label and the rule */
function readLabel<T>(schema: z.ZodType<T>, name: string, labels: Readonly<Record<string, string>>, what: string): T {
  let json: unknown
  try {
    json = JSON.parse(labels[name] ?? 'null')
  } catch {
    throw refused(what, `has a label ${name} that is not JSON`, REMEDY)
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = (issue?.path ?? []).join('.')
  throw refused(
    what,
    `has a label ${name} that breaks a rule: ${where === '' ? '' : `${where}: `}${issue?.message}`,
    REMEDY,
  )
}

function idOf(what: string, env: Readonly<Record<string, string>>, name: string): number {
  const text = env[name] ?? ''
  const id = Number(text)
  if (/^\d{1,5}$/.test(text) && id > 0) return id
  const why = text === '' ? `does not say ${name} in its environment` : `says ${name}=${text.slice(0, 20)}`
  throw refused(what, `${why}: builds run as an ordinary user of 1 to 99999`, REMEDY)
}

function refused(what: string, why: string, remedy: string): LifecycleError {
  return new LifecycleError('detect', `${what} ${why}`, remedy)
}
