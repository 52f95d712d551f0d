import { describe, expect, it } from 'vitest'
import { markerHolds } from './markers.js'

const environment = { pythonVersion: '3.11.2', machine: 'x86_64', extras: new Set(['async']) }

describe('an environment marker', () => {
  it.each<[marker: string | null, holds: boolean]>([
    [null, true],
    ['', true],
    ['python_version < "3.8"', false],
    ['python_version >= "3.9"', true],
    ["python_version >= '3.10' and sys_platform != 'win32'", true],
    ['sys_platform == "win32" or os_name == "posix"', true],
    ['sys_platform == "win32" or os_name == "nt" and python_version > "3"', false],
    ['(sys_platform == "win32" or os_name == "posix") and python_version < "3"', false],
    ['python_full_version == "3.11.*"', true],
    ['python_full_version < "3.11.2"', false],
    ['platform_python_implementation != "PyPy"', true],
    ['"linux" in sys_platform', true],
    ['platform_machine not in "arm64 aarch64"', true],
    ['extra == "async"', true],
    ["extra == 'dotenv'", false],
    ['python_version ~= "3.9"', true],
    ['no marker at all', true],
    ['python_version < ', true],
    ['python_version < "3" trailing', true],
  ])('%j holds here: %j', (marker, holds) => expect(markerHolds(marker, environment)).toBe(holds))
})
