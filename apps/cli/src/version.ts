/** The version of this Croft; also what `/api/v1` and `status` say. */
export const version = '0.1.0'
