import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CommandFailed, run } from './spawn.js'

describe('running a command', () => {
  it('gives its output', async () => {
    const { stdout } = await run('printf', ['%s', '$HOME `id`'], { timeoutMs: 5_000 })
    expect(stdout.toString()).toBe('$HOME `id`') // no shell ever saw it
  })
  it('inherits no environment', async () => {
    process.env['CROFT_SPAWN_SPEC'] = 'leaked'
    const { stdout } = await run('env', [], { timeoutMs: 5_000 })
    expect(stdout.toString()).not.toContain('leaked')
  })
  it('fails with exit code and standard error', async () => {
    const failed = await run('ls', ['/does-not-exist'], { timeoutMs: 5_000 }).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(CommandFailed)
    expect((failed as CommandFailed).exitCode).toBe(2)
    expect((failed as CommandFailed).detail).toContain('does-not-exist')
  })
  it('kills what takes too long and says so', async () => {
    await expect(run('sleep', ['30'], { timeoutMs: 50 })).rejects.toThrow('timed out after 50 ms')
  })
  it('kills what says too much and says so', async () => {
    await expect(run('yes', [], { timeoutMs: 5_000, maxOutputBytes: 1_000 })).rejects.toThrow('more than 1000 bytes')
  })
  it('is canceled by its signal', async () => {
    await expect(run('sleep', ['30'], { timeoutMs: 5_000, signal: AbortSignal.timeout(50) })).rejects.toThrow(
      'canceled',
    )
  })
  it('in the background puts it behind everything else, also of other sessions', async () => {
    const saidBy = async (command: string, args: string[] = []): Promise<string> =>
      (await run(command, args, { timeoutMs: 5_000, isBackground: true })).stdout.toString()
    expect(await saidBy('nice')).toBe('19\n')
    expect(await saidBy('ionice')).toBe('idle\n')
    // the end of its input comes once it was put there
    if (existsSync('/proc/self/autogroup'))
      expect(await saidBy('cat', ['-', '/proc/self/autogroup'])).toMatch(/nice 19$/m)
    const failed = run('ls', ['/does-not-exist'], { timeoutMs: 5_000, isBackground: true })
    await expect(failed).rejects.toMatchObject({ command: 'ls', exitCode: 2 })
  })
  it('in the background is ended with what it has started', async () => {
    // the grandchild holds the output open: the run ends with it, not with its parent
    const late = run('sh', ['-c', 'sleep 300 & wait'], { timeoutMs: 200, isBackground: true })
    await expect(late).rejects.toThrow('timed out')
  })
  it('says that a program does not exist', async () => {
    await expect(run('croft-no-such-program', [], { timeoutMs: 5_000 })).rejects.toThrow('ENOENT')
  })
})
