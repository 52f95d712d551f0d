// Removes what was compiled; `--all` also what was fetched.
import { globSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const made = [
  '{apps,libs,buildpacks}/*/dist',
  '.croft-setup',
  ...(process.argv.includes('--all') ? ['node_modules'] : []),
]
for (const path of made.flatMap((pattern) => globSync(pattern, { cwd: root }))) {
  rmSync(join(root, path), { recursive: true, force: true })
}
