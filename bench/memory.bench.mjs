// The README's claim on the idle platform: the sum of the proportional set sizes (PSS) of every Croft process, no instance running.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { checkout, command, startPlatform } from './support/tools.mjs'

/** The process and all below it. */
function family(root) {
  const parents = new Map()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      parents.set(Number(pid), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // it has just ended
    }
  }
  const members = new Set([root])
  for (let grew = true; grew;) {
    grew = false
    for (const [pid, parent] of parents) {
      if (members.has(parent) && !members.has(pid)) {
        members.add(pid)
        grew = true
      }
    }
  }
  return members
}

const pssOf = (pid) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024

/** Megabytes (10^6) for each component and in all, 20 s after the platform was ready. */
export async function bench() {
  const platform = await startPlatform('memory', 25_180)
  try {
    await delay(20_000)
    const status = JSON.parse(
      await command('./croft', ['status', '--json', '--home', platform.home], { cwd: checkout }),
    )
    const k = readFileSync(`${platform.home}/k`, 'utf8').split(/\s/)[0]
    const { supervisor } = JSON.parse(readFileSync(`/run/croft/${k}/supervisor.json`, 'utf8'))
    const seen = new Set()
    const perComponent = {}
    for (const { name, pid } of [...status.components, { name: 'supervisor', pid: supervisor.pid }]) {
      let sum = 0
      for (const member of family(pid)) {
        if (seen.has(member)) continue
        seen.add(member)
        sum += pssOf(member)
      }
      perComponent[name] = Math.round(sum / 1e5) / 10
    }
    const total = Object.values(perComponent).reduce((sum, value) => sum + value, 0)
    return { unit: 'MB (PSS)', perComponent, total: Math.round(total * 10) / 10 }
  } finally {
    await platform.close()
  }
}
