/** So many releases that served can be rolled back to: their images stay, older ones go. */
export const ROLLBACK_RELEASES = 50
