import { describe, expect, it } from 'vitest'
import { judgeRefs } from './ref-policy.js'
import { parsePushOptions } from './push-options.js'

const A = 'a'.repeat(40)
const ZERO = '0'.repeat(40)
const update = (ref: string, newValue = A) => ({ oldValue: ZERO, newValue, ref })

function judged(...refs: (string | ReturnType<typeof update>)[]): string[] {
  const commands = refs.map((ref) => (typeof ref === 'string' ? update(ref) : ref))
  return judgeRefs(commands, 'shop').map((verdict) =>
    verdict.kind === 'deploy' ? 'deploys' : `${verdict.refusal.cause} | ${verdict.refusal.suggestion}`,
  )
}

describe('which refs deploy', () => {
  it.each(['refs/heads/main', 'refs/heads/master'])('%s does', (ref) => {
    expect(judged(ref)).toEqual(['deploys'])
  })
  it.each([
    [
      'refs/heads/feature-x',
      'branch feature-x does not deploy: only main and master do | git push croft feature-x:main',
    ],
    ['refs/heads/feat/x', 'branch feat/x does not deploy: only main and master do | git push croft feat/x:main'],
    ['refs/tags/v1', "tag v1 does not deploy: only main and master do | git push croft 'v1^{commit}:refs/heads/main'"],
    ['refs/notes/commits', 'refs/notes/commits is neither a branch nor a tag | git push croft HEAD:main'],
    ['refs/heads/$(id)', "branch $(id) does not deploy: only main and master do | git push croft '$(id):main'"],
    [
      'refs/heads/--upload-pack=x',
      'branch --upload-pack=x does not deploy: only main and master do | git push croft HEAD:main',
    ],
    ["refs/heads/a'b", "branch a'b does not deploy: only main and master do | git push croft HEAD:main"],
    ['refs/heads/a\u202eb', 'branch a?b does not deploy: only main and master do | git push croft HEAD:main'],
    ['refs/heads/\u001b[31mred', 'branch red does not deploy: only main and master do | git push croft HEAD:main'],
    ['refs/remotes/origin/main', 'refs/remotes/origin/main is neither a branch nor a tag | git push croft HEAD:main'],
  ])('%s is refused by name, with the command that works', (ref, says) => {
    expect(judged(ref)).toEqual([says])
  })
  it.each(['refs/heads/main', 'refs/heads/other', 'refs/tags/v1'])('deleting %s is refused', (ref) => {
    expect(judged(update(ref, ZERO))[0]).toMatch(/cannot be deleted.*apps:destroy shop/)
  })
  it('a push of everything deploys main and names the rest', () => {
    const [main, ...rest] = judged('refs/heads/main', 'refs/heads/x', 'refs/tags/v1', update('refs/heads/old', ZERO))
    expect(main).toBe('deploys')
    expect(rest.every((verdict) => verdict !== 'deploys')).toBe(true)
  })
  it('main and master in one push are both refused: only one can run', () => {
    expect(judged('refs/heads/main', 'refs/heads/master')).toEqual([
      'main and master came in one push, and only one of them can run | git push croft main',
      'main and master came in one push, and only one of them can run | git push croft master',
    ])
  })
})

describe('push options', () => {
  it('come from a fixed list', () => {
    expect(parsePushOptions(['team=ops', 'detach', 'rebuild'])).toEqual({
      kind: 'ok',
      options: { team: 'ops', detach: true, rebuild: true },
    })
  })
  it.each(['detached', 'team', 'team=', 'team=../x', 'team=a\nb', '--upload-pack=x', 'skip-ci\u001b[2J'])(
    '%j refuses the push and names what exists',
    (option) => {
      const answer = parsePushOptions([option])
      expect(answer.kind).toBe('refused')
      if (answer.kind === 'refused') {
        expect(answer.refusal.cause).toMatch(/^[\x20-\x7e]+$/)
        expect(answer.refusal.suggestion).toContain('-o rebuild')
      }
    },
  )
})
