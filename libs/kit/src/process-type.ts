/** The one rule for names of process types: of a Procfile, of `app.json`, of what buildpacks write, of `ps:scale`. Pure. */

/** At most 63 characters, and no `.` or `..`: each is the name of a file in an image. */
export const PROCESS_TYPE = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,63}$/
export const PROCESS_TYPE_RULE = 'a process type is made of letters, digits, dots, dashes and underscores, at most 63'
