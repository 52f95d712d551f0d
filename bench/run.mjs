// Runs the benches and prints one JSON document: `npm run bench [NAME…]`. Each bench measures Croft beside a peer in one run.
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'

const wanted = process.argv.slice(2)
const files = globSync('*.bench.mjs', { cwd: import.meta.dirname }).toSorted()
const results = {}
for (const file of files) {
  const name = basename(file, '.bench.mjs')
  if (wanted.length > 0 && !wanted.includes(name)) continue
  console.error(`bench: ${name}`)
  try {
    const { bench } = await import(join(import.meta.dirname, file))
    results[name] = await bench()
  } catch (error) {
    results[name] = { error: error.message }
    process.exitCode = 1
  }
}
console.log(JSON.stringify({ at: new Date().toISOString(), results }, null, 2))
