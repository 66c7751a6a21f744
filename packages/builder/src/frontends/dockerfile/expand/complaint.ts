/**
 * What is wrong, before anybody knows where: thrown by the parts that see only a line or a word, and turned into a
 * {@link BuilderError} with its place by their caller. Never leaves the frontend.
 */
export class Complaint extends Error {
  /** Index of the flag that is meant, if it is one. */
  readonly flag: number | undefined

  constructor(message: string, flag?: number) {
    super(message)
    this.name = 'Complaint'
    this.flag = flag
  }
}

export function isComplaint(error: unknown): error is Complaint {
  return error instanceof Complaint
}
