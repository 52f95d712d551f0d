import { SetMetadata, type CustomDecorator } from '@nestjs/common'
import type { PolicyName } from './roles.js'

export const POLICY = 'croft:policy'

/** What a route demands of whoever asks; a route without one keeps the controller from starting. */
export function Policy(name: PolicyName): CustomDecorator {
  return SetMetadata(POLICY, name)
}
