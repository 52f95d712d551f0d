import { CroftError } from '@croft/kit'
import type { Settings } from '../up/settings.js'

/** What a check found. A `failed` one keeps a platform from starting; a `mitigated` one is a known weakness our use excludes. */
export type Finding =
  | { status: 'ok'; detail: string }
  | { status: 'mitigated'; detail: string }
  | { status: 'warning' | 'failed'; detail: string; remedy: string }

/**
 * One thing about the host that a platform needs. `up` and `doctor` run the same checks: those of phase `host` before anything is
 * set up, those of phase `tools` when the host's packages are there. Only `doctor` runs those of phase `advice`.
 */
export interface Check {
  name: string
  phase: 'host' | 'tools' | 'advice'
  run(settings: Settings): Promise<Finding>
}

export interface CheckReport {
  name: string
  status: Finding['status']
  detail: string
  remedy: string | null
}

/** Runs a check; one that throws has failed, with the error's own remedy. */
export async function runCheck(check: Check, settings: Settings): Promise<CheckReport> {
  try {
    const finding = await check.run(settings)
    return {
      name: check.name,
      status: finding.status,
      detail: finding.detail,
      remedy: 'remedy' in finding ? finding.remedy : null,
    }
  } catch (error) {
    if (!(error instanceof CroftError)) throw error
    return { name: check.name, status: 'failed', detail: error.message, remedy: error.suggestion ?? null }
  }
}

/** A host on which a platform cannot start. */
export class HostUnfit extends CroftError {
  constructor(report: CheckReport) {
    super({
      code: `host-${report.name}`,
      status: 400,
      title: report.detail,
      ...(report.remedy !== null && { suggestion: report.remedy }),
    })
  }
}

/** Throws HostUnfit for the first report that failed. */
export function requireFit(reports: readonly CheckReport[]): void {
  const failed = reports.find((report) => report.status === 'failed')
  if (failed !== undefined) throw new HostUnfit(failed)
}
