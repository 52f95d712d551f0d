import { Global, Module } from '@nestjs/common'
import { APP_GUARD, DiscoveryModule } from '@nestjs/core'
import { TeamModule } from '../team/team.module.js'
import { Authenticator } from './authenticator.js'
import { PolicyCheck } from './policy-check.js'
import { PolicyGuard } from './policy-guard.js'
import { TokenService } from './token.service.js'

/** Who is asking, and whether he may. */
@Global()
@Module({
  imports: [DiscoveryModule, TeamModule],
  providers: [TokenService, Authenticator, PolicyCheck, { provide: APP_GUARD, useClass: PolicyGuard }],
  exports: [TokenService, Authenticator, PolicyCheck],
})
export class AuthModule {}
