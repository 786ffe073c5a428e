/** What a request needs of the checkpoints beside the host records. */
import type { BlobName } from '../../shared/contract/checkpoint.ts';

export interface Need {
  /** Equal keys want equal blobs: requests share what is made for them. */
  readonly key: string;
  readonly wants: (name: BlobName) => boolean;
  /** Windows may be added up: nothing of the answer tells them apart. */
  readonly windowsSummed: boolean;
}

export const hostsOnly: Need = { key: '', wants: () => false, windowsSummed: false };
