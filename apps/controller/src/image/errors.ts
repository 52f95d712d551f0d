import { CroftError } from '@croft/kit'

/** A failure of the distribution API; answered in the shape container tools expect. */
export class DistributionError extends CroftError {
  constructor(
    status: number,
    /** The distribution specification's code, e.g. `BLOB_UNKNOWN`. */
    readonly distributionCode: string,
    message: string,
  ) {
    super({ code: distributionCode.toLowerCase().replaceAll('_', '-'), status, title: message })
  }
}
