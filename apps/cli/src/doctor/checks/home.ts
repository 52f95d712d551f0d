import { checkHome } from '../../up/home.js'
import type { Check } from '../check.js'

/** The home is Croft's, or may become it, and the components' users can reach it. */
export const home: Check = {
  name: 'home',
  phase: 'host',
  async run(settings) {
    await checkHome(settings.home)
    return { status: 'ok', detail: settings.home }
  },
}
