import { z } from 'zod'
import { freeTable, readToml, writeToml } from './toml.js'

const storeTomlSchema = z.object({ metadata: freeTable.optional() })
export type Store = Record<string, unknown>

export function parseStoreToml(text: string, what: string): Store | undefined {
  return readToml(storeTomlSchema, text, what).metadata
}

export function writeStoreToml(metadata: Store): string {
  return writeToml({ metadata })
}
