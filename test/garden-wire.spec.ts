import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FEATURES } from '@croft/garden-api/http'

const page = await readFile(join(import.meta.dirname, '../docs/garden-wire.md'), 'utf8')

describe('the page about the wire', () => {
  it.each(FEATURES)('tells of %s', (feature) => {
    expect(page).toContain(`\`${feature}\``)
  })
})
