/** Why a request gets no answer: an expected outcome, as one union. status.ts gives each its gRPC code and message. */
export type Rejection =
  | { readonly kind: 'unknown-metric'; readonly metric: string; readonly suggestion: string | undefined }
  | {
      readonly kind: 'wrong-kind';
      readonly metric: string;
      readonly found: string;
      readonly wanted: string;
      readonly suggestion: string | undefined;
    }
  | { readonly kind: 'unknown-host'; readonly host: string; readonly suggestion: string | undefined }
  | { readonly kind: 'unknown-probe'; readonly probe: string; readonly suggestion: string | undefined }
  | { readonly kind: 'still-reporting'; readonly host: string }
  | { readonly kind: 'no-host-given'; readonly hosts: number }
  | { readonly kind: 'not-counted'; readonly metric: string; readonly host: string; readonly why: string }
  /** `column` counts characters from 1. */
  | { readonly kind: 'bad-selector'; readonly selector: string; readonly column: number; readonly problem: string }
  | {
      readonly kind: 'unknown-label';
      readonly field: string;
      readonly label: string;
      readonly known: readonly string[];
      readonly suggestion: string | undefined;
      readonly column: number | undefined;
    }
  | { readonly kind: 'bad-field'; readonly field: string; readonly problem: string; readonly fix: string }
  | { readonly kind: 'before-retention'; readonly field: string; readonly asked: string; readonly oldest: string }
  /** The token is not ours, or belongs to another request. */
  | { readonly kind: 'bad-token'; readonly problem: string }
  /** The answer that the token continues is gone. */
  | { readonly kind: 'moved-on' }
  | {
      readonly kind: 'too-large';
      readonly what: string;
      readonly found: number;
      readonly limit: number;
      readonly fix: string;
    }
  /** Known before it is begun: how much it is, what is allowed, what would do. */
  | {
      readonly kind: 'scan-too-large';
      readonly estimate: string;
      readonly allowed: string;
      readonly found: number;
      readonly limit: number;
      readonly fix: string;
    }
  /** Others use up what there is; `limit` is the name of the flag that sets it. */
  | { readonly kind: 'too-many'; readonly limit: string; readonly max: number };

/** Carries a rejection out of nested code to the one place that answers. */
export class Rejected extends Error {
  override readonly name = 'Rejected';

  constructor(readonly rejection: Rejection) {
    super(rejection.kind);
  }
}

/** Ends the request. */
export function reject(rejection: Rejection): never {
  throw new Rejected(rejection);
}
