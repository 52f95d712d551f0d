import { afterEach, describe, expect, it } from 'vitest'
import { CommandFailed } from '@croft/kit'
import { ResidentTool, ToolGoneError, type ToolDialect } from './resident-tool.js'

/** A tool that complains about `bad`, ends at `end`, keeps silent at `hang`, and does the rest. */
const SCRIPT = `
let left = ''
process.stdin.on('data', (chunk) => {
  const lines = (left + chunk).split('\\n')
  left = lines.pop()
  for (const line of lines) {
    if (line === 'end') process.exit(0)
    if (line === 'hang') return process.stdin.removeAllListeners('data')
    if (line.startsWith('bad')) process.stderr.write('cannot do ' + line + '\\n')
    if (line.startsWith('odd')) process.stderr.write('done, but ' + line + '\\n')
    if (line.startsWith('mark')) process.stderr.write('what is ' + line + '?\\n')
  }
})`
const dialect: ToolDialect = {
  command: process.execPath,
  args: ['-e', SCRIPT],
  markOf: (number) => `mark${number}`,
  complaintOf: (mark) => new RegExp(`^what is ${mark}\\?\\n`, 'm'),
  refusal: /^cannot /m,
}

describe('a tool that stays', () => {
  let tool: ResidentTool
  afterEach(() => tool.close())

  it('answers each command with what is wrong with it, in order, whoever waits', async () => {
    tool = new ResidentTool(dialect)
    const said = await Promise.allSettled(
      ['good', 'bad one', 'good\nbad two\nbad three', 'good'].map((line) => tool.do(line)),
    )
    expect(said.map((one) => (one.status === 'fulfilled' ? 'done' : (one.reason as CommandFailed).detail))).toEqual([
      'done',
      'cannot do bad one',
      'cannot do bad two\ncannot do bad three',
      'done',
    ])
  })

  it('may remark upon what it does', async () => {
    const remarks: string[] = []
    tool = new ResidentTool(dialect, { onRemark: (text) => remarks.push(text) })
    await tool.do('odd one')
    await expect(tool.do('odd two\nbad')).rejects.toThrow(CommandFailed)
    expect(remarks).toEqual(['done, but odd one'])
  })

  it('is started anew after it ended, and says that nothing is known of what it was doing', async () => {
    tool = new ResidentTool(dialect)
    await expect(tool.do('end')).rejects.toThrow(ToolGoneError)
    await tool.do('good')
  })

  it('is given up when it does not answer', async () => {
    tool = new ResidentTool(dialect, { answerTimeoutMs: 2_000 }) // a loaded machine takes half a second to start the next
    await expect(tool.do('hang')).rejects.toThrow('does not answer')
    await expect(tool.do('bad luck')).rejects.toThrow(CommandFailed)
  })

  it('may not be there at all', async () => {
    tool = new ResidentTool({ ...dialect, command: '/nonexistent/tool' })
    await expect(tool.do('good')).rejects.toThrow(ToolGoneError)
  })
})
