type Family = readonly { readonly name: string; readonly summary: string }[]

/** What a flag accepts, by the list of a family. */
export const namesOf = (family: Family): readonly string[] => family.map(({ name }) => name)

/** `name (summary)` of each, for a help text. */
export const listed = (family: Family): string => family.map(({ name, summary }) => `${name} (${summary})`).join(', ')
