// A daemon that makes, uses and destroys containers, and says what it holds after the first of them and at the end.
//   node --expose-gc soaked-daemon.mjs '{"options":…,"root":…,"cycles":…,"warmUp":…}'
import { readdirSync, readFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { createLinuxBackend } from '../../../libs/backend-linux/dist/index.js'
import { silentLogger, waitFor } from '../../../libs/kit/dist/index.js'

const { options, root, cycles, warmUp } = JSON.parse(process.argv[2])
const images = { resolve: async () => ({ lowerPaths: [root], env: [] }) }
const backend = await createLinuxBackend({ ...options, images, logger: silentLogger, keptEvents: 100 })
await backend.recover()

/** Whether the files of what was destroyed are off the disk, and the program that took them has ended. */
function rests() {
  if (readdirSync(options.depotDir).length > 0) return false
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ')
  return !children.some((pid) => pid !== '' && readFileSync(`/proc/${pid}/comm`, 'utf8') === 'rm\n')
}

/** Heap in use and open files, once nothing is left to collect. */
async function holds() {
  await waitFor(rests, { what: 'the daemon to rest', timeoutMs: 10_000 })
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc()
    await turn()
  }
  const { heapUsed, external } = process.memoryUsage()
  return { heap: heapUsed + external, files: readdirSync('/proc/self/fd').length }
}

async function cycle(number) {
  const container = await backend.create({
    handle: `soak-${number}`,
    image: { uri: 'x' },
    properties: { number: String(number) },
    limits: {
      memory: { limitBytes: 64 << 20 },
      ...(number % 10 === 0 && { disk: { byteHard: 16 << 20, scope: 'exclusive' } }),
    },
  })
  const process = await container.run({ path: '/bin/sh', args: ['-c', 'echo out; exit 3'] })
  const { exitCode } = await process.wait()
  if (exitCode !== 3) throw new Error(`cycle ${number} ended with ${exitCode}`)
  await container.metrics()
  await backend.destroy(container.handle)
}

let first
for (let number = 0; number < cycles; number += 1) {
  if (number === warmUp) first = await holds()
  await cycle(number)
}
const last = await holds()
await backend.close()
console.log(JSON.stringify({ first, last }))
