import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { bareEnv, messageOf, run, systemClock } from '@croft/kit'
import type { HomeNames } from '../home/naming.js'

const COMMAND_TIMEOUT_MS = 10_000
/** A namespace whose processes have ended takes its link along within some 20 ms. */
const LINK_END_MS = 300
const MAX_PAUSE_MS = 10

/** Runs lines of ip(8) in one process. */
export async function ipBatch(lines: string): Promise<void> {
  await run('ip', ['-batch', '-'], { input: lines, timeoutMs: COMMAND_TIMEOUT_MS, env: bareEnv() })
}

/** Names of the host ends of the home's veth pairs. */
export async function listLinks(names: HomeNames): Promise<string[]> {
  const text = await readFile('/proc/net/dev', 'utf8')
  return text
    .split('\n')
    .map((line) => line.split(':')[0]?.trim() ?? '')
    .filter((name) => name.startsWith(names.linkPrefix))
}

/** Deletes a link; one that is gone is fine. */
export async function deleteLink(link: string): Promise<void> {
  try {
    await run('ip', ['link', 'delete', 'dev', link], { timeoutMs: COMMAND_TIMEOUT_MS })
  } catch (error) {
    /* the second is said when the namespace of its other end takes it away at that moment */
    if (!/Cannot find device|No such device/.test(messageOf(error))) throw error
  }
}

/**
 * Waits until a link has gone with the namespace of its other end, and deletes it when that takes too long: the kernel takes many
 * links at once in that way, but one after the other when asked.
 */
export async function endLink(link: string): Promise<void> {
  const end = systemClock.monotonic() + LINK_END_MS
  for (let pauseMs = 1; existsSync(`/sys/class/net/${link}`); pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 1.5)) {
    if (systemClock.monotonic() > end) return await deleteLink(link)
    await systemClock.sleep(pauseMs)
  }
}
