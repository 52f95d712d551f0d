import { lineOfStep, type Dockerfile } from '@croft/oci'

/** What buildah says while it builds a Dockerfile, and what of it a person who pushes sees. Pure. */

const STEP = /^(?:\[(\d+)\/\d+\] )?STEP (\d+)\/\d+: (.*)$/
const CACHED = /^--> Using cache [0-9a-f]{64}$/
/** How layers and images are called means nothing to anybody. */
const NOISE =
  /^(?:--> (?:[0-9a-f]{6,64}|Pushing cache.*)|(?:\[\d+\/\d+\] )?COMMIT .*|[0-9a-f]{64}|Successfully tagged .*|Getting image source signatures|Copying (?:blob|config) .*|Writing manifest to image destination|Storing signatures|subprocess exited (?:with status \d+|on .*))$/
const WARNING = /^time="[^"]*" level=warning msg="((?:[^"\\]|\\.)*)"/
const TOLD_BY_BUILDAH = /^(?:time="|Error: |error |\[\w+\])/
/** The last words of a program in Go that may start no thread; what follows is its state. */
const NO_THREAD = /^runtime(?:\/cgo)?: (?:failed to create new OS thread|pthread_create failed)/
const BROKEN_STEP = /building at STEP "((?:[^"\\]|\\.)*)": (.*)$/
const MAX_TEXT = 100
const MAX_REASON = 300

export type Stream = 'stdout' | 'stderr'

/** Follows what buildah says line by line. */
export class BuildahOutput {
  #stage = 1
  #step = 0
  #lastSaid = { stdout: '', stderr: '' }
  #complaint = ''
  #hasNoThread = false

  /** Whether something of the build could not go on for want of processes. */
  get hasNoThread(): boolean {
    return this.#hasNoThread
  }

  /** What a person sees of a line; null: nothing. The lines of one stream come in order, those of two in any. */
  read(line: string, stream: Stream): string | null {
    this.#hasNoThread ||= NO_THREAD.test(line)
    if (this.#hasNoThread) return null
    const step = STEP.exec(line)
    if (step !== null) {
      this.#stage = Number(step[1] ?? 1)
      this.#step = Number(step[2])
      this.#lastSaid = { stdout: '', stderr: '' }
      return line
    }
    if (CACHED.test(line)) return 'as before'
    if (NOISE.test(line.trim())) return null
    const warning = WARNING.exec(line)?.[1]
    if (warning !== undefined) return `Warning: ${warning.replace(/\\"/g, '"')}`
    const isComplaint = TOLD_BY_BUILDAH.test(line)
    if (isComplaint && BROKEN_STEP.test(line)) this.#complaint = line
    else if (isComplaint && this.#complaint === '') this.#complaint = line
    else if (!isComplaint && line.trim() !== '') this.#lastSaid[stream] = line.trim()
    return isComplaint ? null : line
  }

  /** Why it failed, in one line: file, line, instruction, and the last thing its command said, as an error if it said any. */
  failure(dockerfile: Dockerfile, exitCode: number): { title: string; suggestion: string } {
    const instruction = lineOfStep(dockerfile, this.#stage, this.#step)
    const reason = reasonOf(this.#complaint)
    if (instruction === undefined) {
      return {
        title: `the Dockerfile could not be built: ${reason ?? `buildah ended with exit code ${exitCode}`}`.slice(
          0,
          MAX_REASON,
        ),
        suggestion: 'read the lines above, correct the Dockerfile, then commit and push again',
      }
    }
    const { line, keyword, text } = instruction
    const what = `Dockerfile line ${line}: ${keyword} ${shortened(text.replace(/\s+/g, ' '), MAX_TEXT)}`
    const status = /exit status (\d+)$/.exec(reason ?? '')?.[1]
    const suggestion = `correct line ${line} of the Dockerfile, then commit and push again`
    if (status === undefined) return { title: shortened(`${what}: ${reason ?? 'failed'}`, MAX_REASON), suggestion }
    const said = this.#lastSaid.stderr || this.#lastSaid.stdout
    const ended = `${what} ended with exit code ${status}`
    return { title: shortened(said === '' ? ended : `${ended}: ${said}`, MAX_REASON), suggestion }
  }
}

function reasonOf(complaint: string): string | null {
  const told = BROKEN_STEP.exec(complaint)?.[2] ?? /msg="((?:[^"\\]|\\.)*)"/.exec(complaint)?.[1] ?? complaint
  const reason = told
    .replace(/\\"/g, '"')
    .replace(/^(?:Error: |error )/, '')
    .trim()
  return reason === '' ? null : reason
}

function shortened(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 3)}...`
}
