import { DATA_SOURCE } from '@croft/controller'
import type { DataSource } from 'typeorm'
import type { ControllerRig } from './controller-rig.js'

/** The data source of a rig's controller, to plant and to look at rows. */
export function dataSourceOf(rig: ControllerRig): DataSource {
  return rig.controller.app.get<DataSource>(DATA_SOURCE)
}
