export interface Column<Row> {
  readonly header: string
  /** Name in templates: `{{.Repository}}`. */
  readonly field: keyof Row & string
  /** What the table shows for nothing; templates and JSON leave it empty. */
  readonly empty?: string
}

export interface ListingOptions<Row> {
  readonly columns: readonly Column<Row>[]
  readonly format: string | undefined
  /** Prints this field alone, a line each. */
  readonly only: (keyof Row & string) | undefined
  /** Headers of fields that are no columns of the table, for a table of one's own. */
  readonly headers?: Readonly<Partial<Record<keyof Row & string, string>>>
  /** What messages call a row; Docker's name for it: `formatter.imageContext`. */
  readonly type?: string
  /** The fields, where there may be no rows to tell them. */
  readonly fields?: readonly (keyof Row & string)[]
}
