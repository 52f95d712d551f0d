import { CroftError } from '@croft/kit'

/** A Dockerfile as its lines say: stages, the images they need, and which line is which step. Pure. */

export interface DockerInstruction {
  /** Where it begins, from 1. */
  line: number
  /** In capitals. */
  keyword: string
  /** What follows the keyword, lines joined. */
  text: string
}

export interface DockerStage {
  /** `AS name`, in small letters. */
  name: string | null
  /** With the arguments before the first FROM put in. */
  from: string
  /** The FROM is the first: what buildah calls step 1. */
  instructions: DockerInstruction[]
}

export interface Dockerfile {
  stages: DockerStage[]
  /** Images from elsewhere that it builds on or copies from, each once, in the order it names them. */
  images: { reference: string; line: number }[]
  /** Secrets that a RUN mounts, by id. */
  secrets: string[]
}

/** What a Dockerfile breaks, and where. */
export class DockerfileError extends CroftError {
  constructor(
    readonly line: number,
    rule: string,
  ) {
    super({
      code: 'dockerfile',
      status: 422,
      title: `Dockerfile line ${line}: ${rule}`,
      suggestion: `correct line ${line} of the Dockerfile, then commit and push again`,
      kind: 'user',
    })
  }
}

const KEYWORDS =
  /^(ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR)$/
const STAGE_NAME = /^[a-z][a-z0-9_.-]*$/
const HERE_DOCUMENT = /(?:^|\s)<<-?(["']?)[A-Za-z_]\w*\1(?=\s|$)/
const MAX_LINES = 5_000

/** @throws DockerfileError naming the line and the rule */
export function parseDockerfile(text: string): Dockerfile {
  const instructions = instructionsOf(text)
  const args = new Map<string, string>()
  const stages: DockerStage[] = []
  const dockerfile: Dockerfile = { stages, images: [], secrets: [] }
  for (const instruction of instructions) {
    const stage = stages.at(-1)
    if (instruction.keyword === 'FROM') stages.push(stageOf(instruction, args, dockerfile))
    else if (stage !== undefined) {
      stage.instructions.push(instruction)
      addReferences(instruction, dockerfile)
    } else if (instruction.keyword === 'ARG') addArgument(instruction, args)
    else throw new DockerfileError(instruction.line, `${instruction.keyword} stands before the first FROM`)
  }
  if (stages.length === 0) throw new DockerfileError(1, 'there is no FROM, which says what is built on')
  return dockerfile
}

/** The line of a step, both counted from 1; undefined when there is no such step. */
export function lineOfStep(dockerfile: Dockerfile, stage: number, step: number): DockerInstruction | undefined {
  return dockerfile.stages[stage - 1]?.instructions[step - 1]
}

/** Instructions with their continuation lines joined; comments and empty lines are none, also between continuations. */
function instructionsOf(text: string): DockerInstruction[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\n/)
  if (lines.length > MAX_LINES) throw new DockerfileError(MAX_LINES, `it has more than ${MAX_LINES} lines`)
  const escape = escapeOf(lines)
  const found: DockerInstruction[] = []
  let open: { line: number; text: string } | undefined
  for (const [index, raw] of lines.entries()) {
    if (/^\s*(#|$)/.test(raw)) continue
    const isContinued = raw.trimEnd().endsWith(escape)
    const piece = isContinued ? raw.trimEnd().slice(0, -1) : raw
    open ??= { line: index + 1, text: '' }
    open.text += piece
    if (isContinued) continue
    found.push(instructionOf(open))
    open = undefined
  }
  if (open !== undefined) found.push(instructionOf(open))
  return found
}

/** The character that continues a line: directives stand before everything else. */
function escapeOf(lines: readonly string[]): string {
  for (const line of lines) {
    const directive = /^\s*#\s*([a-z]+)\s*=\s*(\S+)\s*$/i.exec(line)
    if (directive === null) break
    if (directive[1]?.toLowerCase() === 'escape' && directive[2] === '`') return '`'
  }
  return '\\'
}

function instructionOf({ line, text }: { line: number; text: string }): DockerInstruction {
  const [, word = '', rest = ''] = /^\s*(\S+)(?:\s+(.*))?$/s.exec(text) ?? []
  const keyword = word.toUpperCase()
  if (!KEYWORDS.test(keyword)) throw new DockerfileError(line, `there is no instruction ${word.slice(0, 40)}`)
  if (rest.trim() === '') throw new DockerfileError(line, `${keyword} needs something to follow it`)
  if (['RUN', 'COPY', 'ADD'].includes(keyword) && HERE_DOCUMENT.test(rest)) {
    throw new DockerfileError(line, `${keyword} <<... (a here-document) is not supported: join commands with && \\`)
  }
  return { line, keyword, text: rest.trim() }
}

function addArgument({ text }: DockerInstruction, args: Map<string, string>): void {
  for (const [, name = '', quoted, plain] of text.matchAll(/(\w+)(?:=(?:"([^"]*)"|(\S*)))?/g)) {
    args.set(name, substitute(quoted ?? plain ?? '', args))
  }
}

function substitute(text: string, args: ReadonlyMap<string, string>): string {
  return text.replace(/\$(?:\{(\w+)(?::([-+])([^}]*))?\}|(\w+))/g, (_all, braced, operator, word: string, bare) => {
    const value = args.get((braced ?? bare) as string) ?? ''
    if (operator === '-') return value === '' ? word : value
    return operator === '+' ? (value === '' ? '' : word) : value
  })
}

function stageOf(
  instruction: DockerInstruction,
  args: ReadonlyMap<string, string>,
  dockerfile: Dockerfile,
): DockerStage {
  const { line, text } = instruction
  const words = text.split(/\s+/).filter((word) => !word.startsWith('--'))
  const [image = '', as, label, ...more] = words
  if (image === '' || more.length > 0 || (as !== undefined && (as.toUpperCase() !== 'AS' || label === undefined))) {
    throw new DockerfileError(line, 'FROM is written FROM IMAGE or FROM IMAGE AS NAME')
  }
  const name = label?.toLowerCase() ?? null
  if (name !== null && !STAGE_NAME.test(name)) {
    throw new DockerfileError(line, `${label} is no name for a stage: letters, digits, - _ and . only, a letter first`)
  }
  if (name !== null && dockerfile.stages.some((stage) => stage.name === name)) {
    throw new DockerfileError(line, `there is a stage ${name} already`)
  }
  const from = substitute(image, args)
  if (from === '') throw new DockerfileError(line, `${image} is empty: give its ARG a default before the first FROM`)
  addImage(from, line, dockerfile)
  return { name, from, instructions: [instruction] }
}

/** What a COPY or a RUN takes from elsewhere. */
function addReferences({ keyword, text, line }: DockerInstruction, dockerfile: Dockerfile): void {
  if (keyword !== 'COPY' && keyword !== 'RUN') return
  const flags = /^(?:--\S+\s+)*/.exec(text)?.[0] ?? ''
  for (const flag of flags.trim().split(/\s+/)) {
    const from = keyword === 'COPY' ? /^--from=(\S+)$/.exec(flag)?.[1] : /^--mount=(?:.*,)?from=([^,]+)/.exec(flag)?.[1]
    if (from !== undefined) addImage(from, line, dockerfile)
    if (/^--mount=(?:.*,)?type=secret(?:,|$)/.test(flag)) {
      const id = /[=,]id=([^,]+)/.exec(flag)?.[1] ?? /(?:target|dst|destination)=(?:[^,]*\/)?([^,/]+)/.exec(flag)?.[1]
      if (id !== undefined && !dockerfile.secrets.includes(id)) dockerfile.secrets.push(id)
    }
  }
}

function addImage(reference: string, line: number, { stages, images }: Dockerfile): void {
  const isStage = stages.some(({ name }) => name === reference.toLowerCase())
  if (isStage || reference === 'scratch') return
  if (/^\d+$/.test(reference)) {
    if (Number(reference) < stages.length) return
    throw new DockerfileError(line, `there is no stage ${reference} before this line`)
  }
  if (!images.some((image) => image.reference === reference)) images.push({ reference, line })
}
