/**
 * Who may call what. Once any credential is configured (an access file or a CA of clients), a call without a role is
 * refused, health and reflection included. A caller has the higher of the roles of its token and of its certificate.
 * Callers on a Unix socket are not asked: whoever the file system lets open it is an operator.
 */
import { z } from 'zod';
import { operatorMethods, roles, type Role } from '../shared/contract/query.ts';
import type { RpcStatus } from '../shared/contract/rpc-status.ts';
import { MusterError } from '../shared/runtime/errors.ts';

const role = z.enum(roles);
const file = z.strictObject({
  /** Bearer tokens, by the SHA-256 of their text in hex: the file holds nothing that opens a door. */
  tokens: z
    .array(
      z.strictObject({
        name: z.string().min(1),
        sha256: z.string().regex(/^[0-9a-f]{64}$/, 'not 64 hex digits'),
        role,
      }),
    )
    .default([]),
  /** Client certificates by their common name or a DNS name of theirs. Absent: every certificate of the CA is a reader. */
  certificates: z.array(z.strictObject({ name: z.string().min(1), role })).optional(),
});

export interface Access {
  readonly tokens: ReadonlyMap<string, Role>;
  readonly certificates: ReadonlyMap<string, Role> | undefined;
}

/** With a CA of clients and no access file: each of its certificates reads. */
export const certificatesAlone: Access = { tokens: new Map(), certificates: undefined };

/** Throws MusterError config/invalid that names the place in the file. */
export function parseAccess(path: string, text: string): Access {
  const wrong = (why: string): MusterError =>
    new MusterError('config/invalid', `read ${path}: ${why}`, {
      remedy: 'an example is in deploy/query/access.example.json',
    });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw wrong(`not JSON: ${(cause as Error).message}`);
  }
  const parsed = file.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw wrong(`${issue.path.join('.') || 'the whole'}: ${issue.message}`);
  }
  const { tokens, certificates } = parsed.data;
  return {
    tokens: new Map(tokens.map((t) => [t.sha256, t.role])),
    certificates: certificates && new Map(certificates.map((c) => [c.name, c.role])),
  };
}

export interface Caller {
  /** SHA-256 in hex of the bearer token; undefined where none was sent. */
  readonly tokenSha256: string | undefined;
  /** Common name and DNS names of a certificate that the CA of clients signed; undefined where there is none. */
  readonly certificateNames: readonly string[] | undefined;
}

const refusal = (code: RpcStatus['code'], reason: string, message: string): RpcStatus => ({
  code,
  reason,
  message,
  metadata: {},
  violations: [],
});

/** Why the caller may not call the method with the path "/service/Method", or undefined when it may. */
export function refuse(access: Access, path: string, caller: Caller): RpcStatus | undefined {
  const byToken = caller.tokenSha256 === undefined ? undefined : access.tokens.get(caller.tokenSha256);
  if (caller.tokenSha256 !== undefined && byToken === undefined) {
    return refusal(
      'UNAUTHENTICATED',
      'UNKNOWN_TOKEN',
      'the bearer token is not known; ask for one, or see the access file',
    );
  }
  const found = [byToken, ...certificateRoles(access, caller)].filter((r) => r !== undefined);
  const rank = Math.max(-1, ...found.map((r) => roles.indexOf(r)));
  if (rank < 0) {
    return caller.certificateNames
      ? refusal('PERMISSION_DENIED', 'NO_ROLE', 'the certificate has no role; name it in the access file')
      : refusal(
          'UNAUTHENTICATED',
          'NO_CREDENTIALS',
          'credentials are missing; send the header "authorization: Bearer TOKEN"',
        );
  }
  const wanted: Role = operatorMethods.has(path.slice(path.lastIndexOf('/') + 1)) ? 'operator' : 'reader';
  if (rank >= roles.indexOf(wanted)) return undefined;
  return refusal(
    'PERMISSION_DENIED',
    'ROLE_TOO_LOW',
    `${path.slice(1)} is for role ${wanted}; yours is ${roles[rank]}`,
  );
}

function certificateRoles(access: Access, { certificateNames }: Caller): (Role | undefined)[] {
  if (!certificateNames) return [];
  const { certificates } = access;
  return certificates ? certificateNames.map((name) => certificates.get(name)) : ['reader'];
}
