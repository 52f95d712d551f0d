import { Controller, Get, Header, Inject } from '@nestjs/common'
import { platformUrl } from '../addresses.js'
import { Policy } from '../auth/policy.js'
import type { ControllerConfig } from '../config.js'
import { CONFIG } from '../tokens.js'
import { homePage } from './home.js'

@Controller()
export class HomeController {
  constructor(@Inject(CONFIG) private readonly config: ControllerConfig) {}

  @Get('/')
  @Policy('public')
  @Header('Content-Type', 'text/html; charset=utf-8')
  @Header('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
  @Header('Cache-Control', 'no-cache')
  home(): string {
    return homePage({ version: this.config.version, url: platformUrl(this.config) })
  }
}
