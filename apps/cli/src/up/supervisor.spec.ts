import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bareEnv, silentLogger, systemClock, waitFor, type Clock } from '@croft/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Component, ComponentName } from './component.js'
import { isAlive, processRef, type ProcessRef } from './process-ref.js'
import { endProcess, Supervisor, type SupervisorPorts } from './supervisor.js'

let folder: string
let started: ProcessRef[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'croft-supervisor-'))
  started = []
})
afterEach(async () => {
  for (const ref of started) await endProcess(ref, { stopSignal: 'SIGKILL', stopTimeoutMs: 1_000 }, systemClock)
  rmSync(folder, { recursive: true })
})

function sleeper(name: ComponentName, change: Partial<Component> = {}): Component {
  return {
    name,
    command: '/bin/sleep',
    args: ['300'],
    env: bareEnv(),
    after: [],
    isReady: () => Promise.resolve(true),
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 2_000,
    staysWhenStopped: false,
    ...change,
  }
}

function supervise(...components: Component[]): Supervisor {
  return superviseWith({}, ...components)
}

function superviseWith(ports: Partial<SupervisorPorts>, ...components: Component[]): Supervisor {
  const supervisor = new Supervisor(components, {
    clock: systemClock,
    logger: silentLogger,
    random: () => 0.5,
    pids: folder,
    openLog: (name) => openSync(join(folder, `${name}.log`), 'a'),
    onChange: () => undefined,
    ...ports,
  })
  supervisor.start()
  return supervisor
}

async function processOf(supervisor: Supervisor, name: ComponentName, other?: ProcessRef): Promise<ProcessRef> {
  const ref = await waitFor(
    () => {
      const found = supervisor.view.find((component) => component.name === name)
      if (found?.state !== 'running' || found.pid === null || found.startTime === null) return undefined
      return found.pid === other?.pid ? undefined : { pid: found.pid, startTime: found.startTime }
    },
    { what: `${name} to run`, timeoutMs: 5_000 },
  )
  started.push(ref)
  return ref
}

describe('the supervisor', () => {
  it('has a component join its cgroups, and runs it where there are none', async () => {
    const supervisor = supervise(
      sleeper('haproxy', { groups: () => Promise.resolve([folder]) }),
      sleeper('router', { groups: () => Promise.resolve([join(folder, 'none')]) }),
      sleeper('redis', { groups: () => Promise.reject(new Error('no cgroups are mounted')) }),
    )
    const { pid } = await processOf(supervisor, 'haproxy')
    expect(readFileSync(join(folder, 'cgroup.procs'), 'utf8')).toBe(String(pid))
    for (const name of ['router', 'redis'] as const) await processOf(supervisor, name)
    await supervisor.stop()
  })

  it('starts a component only when those it needs are ready', async () => {
    let isReady = false
    const supervisor = supervise(
      sleeper('postgres', { isReady: () => Promise.resolve(isReady) }),
      sleeper('controller', { after: ['postgres'] }),
    )
    await waitFor(() => supervisor.view[0]?.pid, { what: 'postgres', timeoutMs: 5_000 })
    expect(supervisor.view[1]?.pid).toBeNull()
    isReady = true
    await processOf(supervisor, 'controller')
    expect(supervisor.isReady).toBe(true)
    await supervisor.stop()
  })

  it('starts again what was killed, and counts it', async () => {
    const supervisor = supervise(sleeper('router'))
    const first = await processOf(supervisor, 'router')
    process.kill(first.pid, 'SIGKILL')
    const second = await processOf(supervisor, 'router', first)
    expect(isAlive(second)).toBe(true)
    expect(supervisor.view[0]?.restarts).toBe(1)
    await supervisor.stop()
  })

  it('starts again at once what ends for the first time, and later from one time to the next', async () => {
    const delays: unknown[] = []
    const warn = (event: string, fields?: Record<string, unknown>): void => {
      if (event === 'component-ended') delays.push(fields?.['delayMs'])
    }
    const supervisor = superviseWith({ logger: { ...silentLogger, warn } }, sleeper('router', { args: ['0'] }))
    await waitFor(() => delays.length >= 4, { what: 'four ends', timeoutMs: 5_000 })
    await supervisor.stop()
    expect(delays.slice(0, 4)).toEqual([0, 100, 200, 400])
  })

  it('notices the end of an adopted process by its lifeline, without looking again', async () => {
    const socket = join(folder, 'lifeline.sock')
    const component = sleeper('haproxy', {
      command: process.execPath,
      args: ['-e', `require('node:net').createServer((one) => one.on('error', () => {})).listen('${socket}')`],
      isReady: () => Promise.resolve(existsSync(socket)),
      staysWhenStopped: true,
      lifeline: socket,
    })
    const before = supervise(component)
    const left = await processOf(before, 'haproxy')
    await before.stop()
    const neverLooks: Clock = {
      ...systemClock,
      sleep: (ms, signal) => systemClock.sleep(ms >= 200 ? 2 ** 31 - 1 : ms, signal),
    }
    const after = superviseWith({ clock: neverLooks }, component)
    expect(await processOf(after, 'haproxy')).toEqual(left)
    rmSync(socket)
    process.kill(left.pid, 'SIGKILL')
    await processOf(after, 'haproxy', left)
    await after.stop()
  })

  it('adopts the same process an earlier supervisor left, and replaces one that was started otherwise', async () => {
    const component = sleeper('haproxy', { staysWhenStopped: true })
    const before = supervise(component)
    const left = await processOf(before, 'haproxy')
    await before.stop()
    expect(isAlive(left)).toBe(true)

    const same = supervise(component)
    expect(await processOf(same, 'haproxy')).toEqual(left)
    await same.stop()

    const other = supervise({ ...component, args: ['301'], staysWhenStopped: false })
    const replaced = await processOf(other, 'haproxy', left)
    expect(isAlive(left)).toBe(false)
    await other.stop()
    expect(isAlive(replaced)).toBe(false)
  })

  it('does not take a stranger with a recorded pid for its own', async () => {
    const me = processRef(process.pid)
    const { writeFileSync } = await import('node:fs')
    writeFileSync(join(folder, 'redis.json'), JSON.stringify({ pid: me?.pid, startTime: '1', identity: 'x' }))
    const supervisor = supervise(sleeper('redis'))
    expect((await processOf(supervisor, 'redis')).pid).not.toBe(process.pid)
    await supervisor.stop()
  })

  it('stops the dependents before what they need', async () => {
    const order: string[] = []
    const noting = (name: ComponentName, after: ComponentName[]): Component => {
      const component = sleeper(name, { after })
      return {
        ...component,
        command: '/usr/bin/env',
        args: [
          'bash',
          '-c',
          `trap 'echo ${name} >> ${folder}/order; exit' TERM; touch ${folder}/${name}; sleep 300 & wait`,
        ],
        isReady: () => Promise.resolve(existsSync(join(folder, name))), // its trap is set
      }
    }
    const supervisor = supervise(noting('postgres', []), noting('controller', ['postgres']))
    await processOf(supervisor, 'controller')
    await supervisor.stop()
    order.push(...readFileSync(join(folder, 'order'), 'utf8').trim().split('\n'))
    expect(order).toEqual(['controller', 'postgres'])
  })

  it('kills what does not heed the signal', async () => {
    const supervisor = supervise(
      sleeper('executor', {
        command: '/usr/bin/env',
        args: ['bash', '-c', "trap '' TERM; sleep 300 & wait"],
        stopTimeoutMs: 300,
      }),
    )
    const ref = await processOf(supervisor, 'executor')
    await supervisor.stop()
    expect(isAlive(ref)).toBe(false)
  })
})
