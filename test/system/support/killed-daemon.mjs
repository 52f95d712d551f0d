// A daemon that takes up a home, does one thing and is to die on the way, at the failpoint its environment names.
//   node killed-daemon.mjs '{"operation":…,"options":…,"root":…}'
import { PassThrough, Readable } from 'node:stream'
import { createLinuxBackend } from '../../../libs/backend-linux/dist/index.js'
import { silentLogger } from '../../../libs/kit/dist/index.js'

const { operation, options, root, number } = JSON.parse(process.argv[2])
const images = { resolve: async () => ({ lowerPaths: [root], env: [] }) }
const backend = await createLinuxBackend({ ...options, images, logger: silentLogger })
await backend.recover()
const sh = (script, id) => ({ path: '/bin/sh', args: ['-c', script], id })
const neighbour = await backend.lookup('neighbour')
/* started by this daemon, it goes on once the daemon is dead */
await neighbour.run(
  sh(`echo before; until [ -e /gate/${number} ]; do sleep 0.01; done; echo after; exit 7`, `job-${number}`),
)

const limits = { memory: { limitBytes: 64 << 20 }, disk: { byteHard: 16 << 20, scope: 'exclusive' } }
const spec = { handle: 'victim', image: { uri: 'x' }, limits }
const archive = () => {
  const header = Buffer.alloc(512)
  header.write('file')
  header.write('0000644\0', 100)
  header.write('00000200000\0', 124)
  header.write('        ', 148)
  header.write('0', 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Readable.from([header, Buffer.alloc(16 * 1024 * 1024), Buffer.alloc(1024)])
}
const operations = {
  create: async () => await backend.create(spec),
  destroy: async () => {
    const victim = await backend.create(spec)
    await victim.run(sh('sleep 1000'))
    await backend.destroy('victim')
    await backend.close() // what drains behind the answer too
  },
  run: async () => {
    const victim = await backend.create(spec)
    const process = await victim.run(sh('echo out; exit 3', 'short'), { stdout: new PassThrough().resume() })
    await process.wait()
  },
  'stream-in': async () => {
    const victim = await backend.create(spec)
    await victim.streamIn({ user: 'root', path: '/tmp', tar: archive() })
  },
}
await operations[operation]()
throw new Error(`${operation} went past ${process.env.CROFT_FAILPOINT}`)
