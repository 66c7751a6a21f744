import type { TableCommand } from '../define-command.ts'
import type { CommandName } from '../flags.ts'

type Load = () => Promise<TableCommand>

/** What each command of the table does, loaded when it is run: a new one is a file beside this and a line here. */
export const commands: Readonly<Record<string, Load>> = {
  build: async () => (await import('./build.ts')).BuildCommand,
  copy: async () => (await import('./copy.ts')).CopyCommand,
  export: async () => (await import('./export.ts')).ExportCommand,
  du: async () => (await import('./du.ts')).DuCommand,
  history: async () => (await import('./history.ts')).HistoryCommand,
  'image prune': async () => (await import('./image-prune.ts')).ImagePruneCommand,
  images: async () => (await import('./images.ts')).ImagesCommand,
  import: async () => (await import('./import.ts')).ImportCommand,
  info: async () => (await import('./info.ts')).InfoCommand,
  inspect: async () => (await import('./inspect.ts')).InspectCommand,
  login: async () => (await import('./login.ts')).LoginCommand,
  logout: async () => (await import('./logout.ts')).LogoutCommand,
  load: async () => (await import('./load.ts')).LoadCommand,
  prune: async () => (await import('./prune.ts')).PruneCommand,
  pull: async () => (await import('./pull.ts')).PullCommand,
  push: async () => (await import('./push.ts')).PushCommand,
  rmi: async () => (await import('./rmi.ts')).RmiCommand,
  save: async () => (await import('./save.ts')).SaveCommand,
  search: async () => (await import('./search.ts')).SearchCommand,
  'store check': async () => (await import('./store-check.ts')).StoreCheckCommand,
  'system df': async () => (await import('./system-df.ts')).SystemDfCommand,
  'system prune': async () => (await import('./system-prune.ts')).SystemPruneCommand,
  tag: async () => (await import('./tag.ts')).TagCommand,
  'buildx inspect': async () => (await import('./buildx/inspect.ts')).BuildxInspectCommand,
  'buildx ls': async () => (await import('./buildx/ls.ts')).BuildxLsCommand,
  'imagetools create': async () => (await import('./imagetools/create.ts')).ImagetoolsCreateCommand,
  'imagetools inspect': async () => (await import('./imagetools/inspect.ts')).ImagetoolsInspectCommand,
  'debug expand': async () => (await import('./debug/expand.ts')).DebugExpandCommand,
  'debug ignore': async () => (await import('./debug/ignore.ts')).DebugIgnoreCommand,
  'debug llb': async () => (await import('./debug/llb.ts')).DebugLlbCommand,
  'debug parse': async () => (await import('./debug/parse.ts')).DebugParseCommand,
} satisfies Readonly<Record<CommandName, Load>>
