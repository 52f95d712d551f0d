import { describe, expect, it } from 'vitest'
import { isMissing, isUnreachable, pipFailure } from './pip-messages.js'

const UNREACHABLE = `WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<pip._vendor>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/flask/
ERROR: Could not find a version that satisfies the requirement flask==99 (from versions: none)
ERROR: No matching distribution found for flask==99`

describe('what pip says', () => {
  it('is an index that does not answer only when it is', () => {
    expect(isUnreachable(UNREACHABLE)).toBe(true)
    expect(isUnreachable('ERROR: No matching distribution found for flask==99')).toBe(false)
  })

  it.each([
    ['ERROR: No matching distribution found for flask==99', 'there is no flask==99 for this Python'],
    ['ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE', 'the hashes of the lock file'],
    [
      'ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.',
      'a==1 and b==2 do not go',
    ],
    ['ERROR: Failed building wheel for psycopg2', 'psycopg2 has to be compiled'],
    ['ERROR: something else', 'something else'],
  ])('%j becomes a cause', (output, cause) => {
    expect(pipFailure(1, output).message).toContain(cause)
    expect(pipFailure(1, output).remedy).not.toBe('')
  })

  it('is a package that is not there', () => expect(isMissing(UNREACHABLE)).toBe(true))
})
