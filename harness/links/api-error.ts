/** An answer other than success: status and text as Toxiproxy gives them. */

import { AddressError } from './addresses.ts';
import { ListenError } from './proxy.ts';

export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A proxy that cannot listen is the API's 500; anything else stays what it is. */
export const asApiError = (error: unknown): unknown =>
  error instanceof ListenError || error instanceof AddressError ? new ApiError(500, error.message) : error;
