import type { Digest } from '@croft/kit'
import type { Descriptor } from '@croft/oci'
import { z } from 'zod'
import { LifecycleError } from './errors.js'
import type { ImageLayer } from './export.js'
import { LIFECYCLE_LABEL, parseLifecycleLabel } from './formats/lifecycle-label.js'

/** Swaps the run image under an app's layers: what is the app's stays as it is, byte for byte. Pure. */

const CREATED = '1980-01-01T00:00:01Z'
const REBASABLE = 'io.buildpacks.rebasable'

/** Members that nobody here reads are kept. */
const configSchema = z.looseObject({
  architecture: z.string(),
  os: z.string(),
  config: z.looseObject({ Labels: z.record(z.string(), z.string()).nullish() }),
  rootfs: z.looseObject({ diff_ids: z.array(z.string()) }),
  history: z.array(z.unknown()).nullish(),
})
export type RawImageConfig = z.infer<typeof configSchema>

export interface NewRunImage {
  layers: readonly ImageLayer[]
  labels: Readonly<Record<string, string>>
  reference: string
  /** What it is called where it is published, `stack:debian-12`. */
  name: string
  architecture: string
}

export interface RebaseInput {
  /** The image's configuration as it lies in the registry. */
  config: unknown
  /** Its layers as the manifest lists them. */
  layers: readonly Descriptor[]
  run: NewRunImage
}

/** The image over its new run image. */
export interface RebasedImage {
  config: RawImageConfig
  layers: Descriptor[]
  /** The uppermost layer of the former run image. */
  formerTop: Digest
}

/**
 * Replaces the layers up to and including the former run image's uppermost one, and what the labels say of the run image.
 * @throws LifecycleError unless the image says that it may be rebased, which run image it stands on, and is for the same machine
 */
export function rebase({ config: raw, layers, run }: RebaseInput): RebasedImage {
  const parsed = configSchema.safeParse(raw)
  if (!parsed.success) throw cannot('its configuration cannot be read')
  const config = parsed.data
  const labels = config.config.Labels ?? {}
  const label = parseLifecycleLabel(labels[LIFECYCLE_LABEL])
  const top = label?.runImage?.topLayer
  if (label?.runImage === undefined || top === undefined) throw cannot('it does not say what it stands on')
  if (labels[REBASABLE] === 'false') throw cannot('it says that it must not be')
  const { name } = run
  const { image: former, mirrors = [] } = label.runImage
  if (former !== undefined && former !== name && !mirrors.includes(name))
    throw cannot(`it stands on ${former}, not on ${name}`)
  if (config.os !== 'linux' || config.architecture !== run.architecture) {
    throw cannot(`it is for ${config.os}/${config.architecture}`)
  }
  for (const what of ['distro.name', 'distro.version']) {
    const [before, after] = [labels[`io.buildpacks.base.${what}`] ?? '', run.labels[`io.buildpacks.base.${what}`] ?? '']
    if (before !== '' && after !== '' && before !== after)
      throw cannot(`it is for ${before}, and ${name} is ${after} now`)
  }
  const count = config.rootfs.diff_ids.indexOf(top) + 1
  if (count === 0 || layers.length !== config.rootfs.diff_ids.length) throw cannot('its layers are not those it names')
  const next = {
    ...label,
    runImage: { ...label.runImage, topLayer: run.layers.at(-1)?.diffId ?? top, reference: run.reference, image: name },
  }
  const { history } = config
  return {
    config: {
      ...config,
      config: { ...config.config, Labels: { ...labels, ...run.labels, [LIFECYCLE_LABEL]: JSON.stringify(next) } },
      rootfs: {
        ...config.rootfs,
        diff_ids: [...run.layers.map(({ diffId }) => diffId), ...config.rootfs.diff_ids.slice(count)],
      },
      ...(history !== undefined &&
        history !== null && { history: [...run.layers.map(() => ({ created: CREATED })), ...history.slice(count)] }),
    },
    layers: [...run.layers.map(({ descriptor }) => descriptor), ...layers.slice(count)],
    formerTop: top,
  }
}

/** Shared libraries by which programs name them: `libc.so.6` of `libc.so.6` and `libc.so.6.1`, out of the names in library folders. */
export function sonamesOf(names: Iterable<string>): Set<string> {
  const versioned = new Set([...names].filter((name) => /^.+\.so\.\d[\w.]*$/.test(name)))
  return new Set(
    [...versioned].filter((name) => {
      const parts = name.split('.')
      return !parts.some((_part, length) => length < parts.length && versioned.has(parts.slice(0, length).join('.')))
    }),
  )
}

/** What the former run image has and the new one lacks: a program that needs one of these would not start. Sorted. */
export function missingSonames(former: Iterable<string>, now: Iterable<string>): string[] {
  const there = sonamesOf(now)
  return [...sonamesOf(former)].filter((name) => !there.has(name)).toSorted()
}

function cannot(why: string): LifecycleError {
  return new LifecycleError('rebase', `the image cannot be rebased: ${why}`, 'build it anew: push with -o rebuild')
}
