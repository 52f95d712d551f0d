import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start, waitFor } from '@croft/kit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { buildShim } from './build.js'
import { programFrame } from './frames.js'
import { Starter } from './starter.js'

describe('the starter of programs', () => {
  let cacheDir: string
  let program: string
  let dir: string
  let starter: Starter
  beforeAll(async () => {
    cacheDir = await mkdtemp(join(tmpdir(), 'starter-cache-'))
    program = await buildShim({ cacheDir })
  })
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'starter-'))
    starter = new Starter(program, dir)
  })
  afterEach(async () => {
    starter.close()
    await rm(dir, { recursive: true, force: true })
  })
  afterAll(async () => await rm(cacheDir, { recursive: true, force: true }))

  const log = (): string => join(dir, 'log')
  const all = async (socket: Socket): Promise<string> => {
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await once(socket, 'close')
    return text
  }
  /** Processes whose command line holds this. */
  const found = async (text: string): Promise<number[]> => {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
    const lineOf = (pid: string): string => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      } catch {
        return '' // it has ended
      }
    }
    return pids.filter((pid) => lineOf(pid).includes(text)).map(Number)
  }

  it('leaves no name of its socket', async () => {
    await all(await starter.start(['/bin/true'], null))
    expect(await readdir(dir)).toEqual([])
  })

  it('says the process id, then what the program says, and appends its errors to a file', async () => {
    const script = 'echo "I am $$ $1"; echo wrong >&2; read -r line || echo no input'
    for (const word of ['a', 'b c']) {
      const text = await all(await starter.start(['/bin/sh', '-c', script, 'sh', word], log()))
      const pid = /^pid (\d+)\n/.exec(text)?.[1]
      expect(text).toBe(`pid ${pid}\nI am ${pid} ${word}\nno input\n`)
    }
    expect(readFileSync(log(), 'utf8')).toBe('wrong\nwrong\n')
  })

  it('says why a program does not start', async () => {
    expect(await all(await starter.start([join(dir, 'none')], log()))).toMatch(/^pid \d+\nerror .*No such file/)
    expect(await all(await starter.start(['/bin/true'], join(dir, 'none/log')))).toMatch(/^error .*No such file/)
  })

  it('waits for a program that says nothing, and throws what another says', async () => {
    await starter.run(['/bin/touch', join(dir, 'touched')], 5_000)
    expect(existsSync(join(dir, 'touched'))).toBe(true)
    await expect(starter.run(['/bin/ls', join(dir, 'none')], 5_000)).rejects.toThrow(/^\/bin\/ls: .*No such file/)
    await expect(starter.run([join(dir, 'none')], 5_000)).rejects.toThrow('No such file')
  })

  it('starts nothing once it is closed', async () => {
    starter.close()
    await expect(starter.start(['/bin/true'], null)).rejects.toThrow('closed')
    expect(await found(dir)).toEqual([])
  })

  it('starts nothing when it is closed while it is being begun, and leaves nothing behind', async () => {
    const starting = starter.start(['/bin/true'], null)
    starter.close()
    await expect(starting).rejects.toThrow('closed')
    await waitFor(async () => (await found(dir)).length === 0, { what: 'its end', timeoutMs: 5_000 })
    expect(await readdir(dir)).toEqual([])
  })

  it('waits for a program no longer than it is told', async () => {
    const waiting = starter.run(['/bin/sleep', '1000.25'], 50)
    await expect(waiting).rejects.toThrow('/bin/sleep is not done after 50 ms')
    for (const pid of await found('1000.25')) process.kill(pid, 'SIGKILL')
  })

  it('gives a program no file of ours, and lets it wait for its own children', async () => {
    const text = await all(await starter.start(['/bin/sh', '-c', 'ls /proc/$$/fd; (exit 7); echo $?'], log()))
    expect(text.replace(/^pid \d+\n/, '')).toBe('0\n1\n2\n7\n')
  })

  it('is begun again when somebody has ended it', async () => {
    await all(await starter.start(['/bin/true'], log()))
    const [pid = 0] = await found(dir)
    process.kill(pid, 'SIGKILL')
    await waitFor(async () => (await found(dir)).length === 0, { what: 'its end', timeoutMs: 5_000 })
    expect(await all(await starter.start(['/bin/echo', 'again'], log()))).toMatch(/^pid \d+\nagain\n$/)
    expect(await found(dir)).toHaveLength(1)
  })

  it('says what is wrong when it cannot be begun', async () => {
    const broken = new Starter(join(dir, 'none'), dir)
    await expect(broken.start(['/bin/true'], log())).rejects.toThrow('the container shim cannot be started')
  })

  describe('whose daemon dies', () => {
    it('ends, and what it has started lives on', async () => {
      const socketPath = join(dir, 'own.sock')
      const own = start(program, ['starter', socketPath], { stdio: ['pipe', 'pipe', 'inherit'] })
      if (own.stdout !== null) await once(own.stdout, 'data')
      const socket = createConnection(socketPath)
      socket.write(programFrame(['/bin/sleep', '1000.5'], log()))
      const [said] = (await once(socket, 'data')) as [Buffer]
      const pid = Number(said.toString().slice(4))
      const ended = once(own, 'exit')
      own.stdin?.destroy()
      expect(await ended).toEqual([0, null])
      process.kill(pid, 'SIGKILL') // throws when there is none
      socket.destroy()
    })

    it('begins nothing whose process id nobody would hear', async () => {
      await all(await starter.start(['/bin/true'], log()))
      const [pid = 0] = await found(dir)
      process.kill(pid, 'SIGSTOP')
      const socket = await starter.start(['/bin/touch', join(dir, 'touched')], log())
      await once(socket.end(), 'finish')
      socket.destroy()
      await once(socket, 'close')
      process.kill(pid, 'SIGCONT')
      await all(await starter.start(['/bin/true'], log()))
      await waitFor(async () => (await found(dir)).length === 1, { what: 'both to end', timeoutMs: 5_000 })
      expect(existsSync(join(dir, 'touched'))).toBe(false)
    })
  })
})
