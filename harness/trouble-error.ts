/**
 * The harness's own trouble that a person can mend, such as a full disk under the reports. One clear line, exit code 3: nothing is
 * said of any node. For a person's mistake there is UsageError; anything else that is thrown is our own bug.
 */
export class TroubleError extends Error {
  override readonly name = 'TroubleError';
}
