/** Name of the command, in usage lines and hints. */
export const commandName = 'tsbuild'
