import { z } from 'zod'
import { freeTable, readToml, writeToml } from './toml.js'

const misplaced = z.never('"launch", "build" and "cache" belong into the table [types]').optional()
const layerTomlSchema = z.object({
  launch: misplaced,
  build: misplaced,
  cache: misplaced,
  types: z
    .object({
      build: z.boolean().default(false),
      cache: z.boolean().default(false),
      launch: z.boolean().default(false),
    })
    .default({ build: false, cache: false, launch: false }),
  metadata: freeTable.optional(),
})

export interface LayerTypes {
  build: boolean
  cache: boolean
  launch: boolean
}
export interface LayerToml {
  types: LayerTypes
  metadata: Record<string, unknown> | undefined
}

/** Names a layer may not have: they are files of the lifecycle, or lead out of the buildpack's folder. */
const FORBIDDEN_NAMES = ['build', 'launch', 'store', '.', '..']

export function isLayerName(name: string): boolean {
  return name !== '' && !name.includes('/') && !FORBIDDEN_NAMES.includes(name)
}

/** Whether a layer is of any type; one of none is put aside. */
export function isKept(types: LayerTypes): boolean {
  return types.build || types.cache || types.launch
}

export function parseLayerToml(text: string, what: string): LayerToml {
  const { types, metadata } = readToml(layerTomlSchema, text, what)
  return { types, metadata }
}

/** A restored layer's file: the metadata without types, which the buildpack has to set again. */
export function writeRestoredLayerToml(metadata: Record<string, unknown> | undefined): string {
  return metadata === undefined ? '' : writeToml({ metadata })
}
