/**
 * What stands between a socket and a method: TLS from files that are read again when they change, and the guard that
 * asks access.ts before any method runs, health and reflection included.
 */
import { createHash } from 'node:crypto';
import { createSecureContext, type PeerCertificate } from 'node:tls';
import {
  experimental,
  type Metadata,
  ServerCredentials,
  ServerInterceptingCall,
  ServerListenerBuilder,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import type { RpcStatus } from '../../shared/contract/rpc-status.ts';
import { MusterError } from '../../shared/runtime/errors.ts';
import type { Log } from '../../shared/runtime/log.ts';
import type { Access, Caller } from '../access.ts';
import { toStatus } from './grpc-status.ts';
import { watchFiles } from './watched-files.ts';

export interface SecurityFiles {
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly tlsClientCa: string | undefined;
  readonly access: string | undefined;
}

/** The pure half, from access.ts. */
export interface AccessRules {
  readonly certificatesAlone: Access;
  parseAccess(path: string, text: string): Access;
  refuse(access: Access, path: string, caller: Caller): RpcStatus | undefined;
}

export interface GrpcSecurity {
  /** For an address of TCP. */
  readonly network: ServerCredentials;
  /** For a Unix socket: its file mode is the credential. */
  readonly local: ServerCredentials;
  close(): void;
}

export const noSecurity: GrpcSecurity = {
  network: ServerCredentials.createInsecure(),
  local: ServerCredentials.createInsecure(),
  close: () => undefined,
};

/** Throws MusterError config/invalid when files are missing, do not belong together or cannot be read. */
export function createSecurity(files: SecurityFiles, rules: AccessRules, log: Log): GrpcSecurity {
  const { tlsCert, tlsKey, tlsClientCa, access } = files;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new MusterError('config/invalid', 'use TLS: certificate and key go together', {
      remedy: 'give both --tls-cert and --tls-key',
    });
  if (tlsClientCa !== undefined && tlsCert === undefined)
    throw new MusterError('config/invalid', '--tls-client-ca: without TLS no client shows a certificate', {
      remedy: 'give --tls-cert and --tls-key too',
    });
  const tls =
    tlsCert === undefined || tlsKey === undefined ? undefined : watchCertificates(tlsCert, tlsKey, tlsClientCa, log);
  const rulesFile =
    access === undefined
      ? undefined
      : watchFiles(
          [access],
          ([text]) => rules.parseAccess(access, text!.toString()),
          log,
          () => running.forEach((askAgain) => askAgain()),
        );
  // Streams that were let in, each to be asked again when the rules change: one may go on for an hour.
  const running = new Set<() => void>();
  const current = (): Access => rulesFile?.value ?? rules.certificatesAlone;
  const open = tls?.credentials ?? ServerCredentials.createInsecure();
  const guarded = rulesFile !== undefined || tlsClientCa !== undefined;
  return {
    network: guarded
      ? experimental.createServerCredentialsWithInterceptors(open, [
          guard(rules, current, tlsClientCa !== undefined, running),
        ])
      : open,
    local: ServerCredentials.createInsecure(),
    close() {
      tls?.close();
      rulesFile?.close();
    },
  };
}

/** Certificate, key and CA as one value, checked as a whole before they are used. */
function watchCertificates(certPath: string, keyPath: string, caPath: string | undefined, log: Log) {
  type Identity = Parameters<Parameters<experimental.CertificateProvider['addIdentityCertificateListener']>[0]>[0];
  type Authority = Parameters<Parameters<experimental.CertificateProvider['addCaCertificateListener']>[0]>[0];
  const identities = new Set<(update: Identity) => void>();
  const authorities = new Set<(update: Authority) => void>();
  const paths = [certPath, keyPath, ...(caPath === undefined ? [] : [caPath])];
  const make = ([certificate, privateKey, caCertificate]: Buffer[]) => {
    try {
      createSecureContext({ cert: certificate, key: privateKey, ca: caCertificate });
    } catch (cause) {
      throw new MusterError('config/invalid', `use ${paths.join(', ')}: not a certificate, its key and a CA in PEM`, {
        cause,
        remedy: 'check that the key is the certificate’s',
      });
    }
    return {
      identity: { certificate: certificate!, privateKey: privateKey! },
      authority: { caCertificate } as Authority,
    };
  };
  const files = watchFiles(paths, make, log, ({ identity, authority }) => {
    for (const tell of identities) tell(identity);
    for (const tell of authorities) tell(authority);
  });
  const provider: experimental.CertificateProvider = {
    addIdentityCertificateListener(tell) {
      identities.add(tell);
      // The listener is not ready for it yet while it is being added.
      queueMicrotask(() => tell(files.value.identity));
    },
    removeIdentityCertificateListener: (tell) => void identities.delete(tell),
    addCaCertificateListener(tell) {
      authorities.add(tell);
      queueMicrotask(() => tell(files.value.authority));
    },
    removeCaCertificateListener: (tell) => void authorities.delete(tell),
  };
  // One provider for both: grpc-js 1.14 takes them in the other order than it says. So it asks every client for a
  // certificate; without a CA of ours none is looked at.
  const credentials = experimental.createCertificateProviderServerCredentials(provider, provider, caPath !== undefined);
  return { credentials, close: files.close };
}

function guard(
  rules: AccessRules,
  current: () => Access,
  mutual: boolean,
  running: Set<() => void>,
): ServerInterceptor {
  return (method, call) => {
    let askAgain: (() => void) | undefined;
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next(
          new ServerListenerBuilder()
            .withOnReceiveMetadata((metadata, pass) => {
              const caller: Caller = {
                tokenSha256: tokenOf(metadata),
                certificateNames: mutual ? namesOf(call.getAuthContext().sslPeerCertificate) : undefined,
              };
              const refused = (): boolean => {
                const status = rules.refuse(current(), method.path, caller);
                if (status) call.sendStatus(toStatus(status));
                return status !== undefined;
              };
              if (refused()) return;
              if (method.responseStream) running.add((askAgain = (): void => void refused()));
              pass(metadata);
            })
            // Of every call, however it ended.
            .withOnCancel(() => askAgain && running.delete(askAgain))
            .build(),
        ),
    });
  };
}

/** SHA-256 of the token in "authorization: Bearer TOKEN". Any other authorization counts as an unknown token. */
function tokenOf(metadata: Metadata): string | undefined {
  const header = metadata.get('authorization')[0];
  if (header === undefined) return undefined;
  const token = /^bearer +(\S+) *$/i.exec(String(header))?.[1] ?? '';
  return createHash('sha256').update(token).digest('hex');
}

function namesOf(certificate: PeerCertificate | undefined): string[] | undefined {
  if (!certificate) return undefined;
  // A name begins an entry: "DNS:" within another entry, in quotes or not, is text that its owner chose.
  const alternatives = (certificate.subjectaltname ?? '').replace(/"(?:[^"\\]|\\.)*"/g, '');
  const names = [...alternatives.matchAll(/(?:^|, )DNS:([^,\s]+)/g)].map((m) => m[1]!);
  const common: unknown = certificate.subject?.CN;
  return typeof common === 'string' ? [common, ...names] : names;
}
