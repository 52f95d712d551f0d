import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PAGES, RAW_PAGES } from './pages.js'

const page = readFileSync(join(import.meta.dirname, '../../../../docs/apps.md'), 'utf8')

describe('the answers of the router in the stead of an app', () => {
  it.each([...Object.values(PAGES), ...RAW_PAGES])('$code with $status is in docs/apps.md', ({ code, status }) => {
    const row = page.split('\n').find((line) => new RegExp(`^\\| [^|]*\\b${code}\\b`).test(line)) ?? ''
    expect(row.split('|')[2]).toContain(String(status))
  })
})
