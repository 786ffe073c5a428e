/** A certificate authority for tests: openssl's own, with keys that are made in milliseconds. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Authority {
  /** Path of the CA's certificate. */
  readonly ca: string;
  /** Writes <name>.pem and <name>.key for "localhost" and <name>, or for the one URI given. */
  issue(name: string, how?: { readonly expired?: boolean; readonly uri?: string }): void;
}

const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export function createAuthority(folder: string, name: string): Authority {
  const state = join(folder, `ca-${name}`);
  mkdirSync(state);
  writeFileSync(join(state, 'index.txt'), '');
  writeFileSync(join(state, 'serial'), '1000');
  writeFileSync(
    join(state, 'ca.conf'),
    `[ca]
default_ca = own
[own]
dir = ${state}
database = ${state}/index.txt
serial = ${state}/serial
new_certs_dir = ${state}
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
`,
  );
  const run = (...words: string[]): void => void execFileSync('openssl', words, { stdio: 'pipe' });
  const ca = join(folder, `${name}-ca.pem`);
  const caKey = join(state, 'ca.key');
  run('req', '-x509', ...key, '-keyout', caKey, '-out', ca, '-days', '30', '-subj', `/CN=${name} CA`);
  appendFileSync(join(state, 'index.txt.attr'), 'unique_subject = no\n');
  return {
    ca,
    issue(subject, { expired = false, uri } = {}) {
      const request = join(state, `${subject}.csr`);
      const own = join(state, `${subject}.conf`);
      const names = uri === undefined ? `DNS.1 = localhost\nDNS.2 = ${subject}\nIP = 127.0.0.1\n` : `URI = ${uri}\n`;
      writeFileSync(
        own,
        `[req]\ndistinguished_name = dn\nreq_extensions = ext\n[dn]\n[ext]\nsubjectAltName = @names\n[names]\n${names}`,
      );
      run(
        'req',
        '-config',
        own,
        ...key,
        '-keyout',
        join(folder, `${subject}.key`),
        '-out',
        request,
        '-subj',
        `/CN=${subject}`,
      );
      const [from, to] = expired ? ['20200101000000Z', '20200201000000Z'] : ['20260101000000Z', '20460101000000Z'];
      const files = ['-config', join(state, 'ca.conf'), '-keyfile', caKey, '-cert', ca];
      run(
        'ca',
        '-batch',
        '-notext',
        ...files,
        '-startdate',
        from,
        '-enddate',
        to,
        '-in',
        request,
        '-out',
        join(folder, `${subject}.pem`),
      );
    },
  };
}
