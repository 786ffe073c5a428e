/**
 * The one root file system that all guests share, read-only: busybox, Node, the product as it is installed (production
 * dependencies only), its BPF objects as this host built them, and each kernel's network module. Loader and agent are
 * there once more, each bundled into one file: emulated, Node takes three times as long to load the many. Made anew
 * when something of it has changed.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../integration/instance.ts';
import type { Kernel } from './kernels.ts';

const folder = join(root, 'build/kernels');
const here = join(root, 'test/kernels');
const libbpf = 'libbpf.so.1';
/** The probe of test/kernels/probes: where guests have it, and this host. */
export const upgradeProbe = '/opt/test/upgrade.bpf.o';
export const upgradeHere = join(root, 'build/kernels/upgrade.bpf.o');
/** ext4 takes a few percent; the file is sparse. */
const imageSize = '512M';

/** Path of the image. */
export function buildImage(kernels: readonly Kernel[]): string {
  const image = join(folder, 'root.img');
  const stamp = join(folder, 'root.stamp');
  const made = digest(kernels);
  if (existsSync(image) && existsSync(stamp) && readFileSync(stamp, 'utf8') === made) return image;
  mkdirSync(folder, { recursive: true });
  rmSync(stamp, { force: true });
  const tree = join(folder, 'tree');
  rmSync(tree, { recursive: true, force: true });
  for (const place of ['bin', 'dev', 'proc', 'sys', 'run', 'tmp', 'modules', 'opt/muster/build'])
    mkdirSync(join(tree, place), { recursive: true });
  for (const program of ['node', 'setpriv', 'busybox']) installProgram(tree, which(program));
  installLibrary(tree, libraryPath(libbpf));
  installProgram(tree, join(root, 'build/test/load'), '/usr/bin/load');
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'));
  copyFileSync(join(here, 'init.sh'), join(tree, 'init'));
  chmodSync(join(tree, 'init'), 0o755);
  mkdirSync(join(tree, dirname(upgradeProbe)), { recursive: true });
  execFileSync('bash', [join(root, 'deploy/build-bpf.sh'), join(here, 'probes/upgrade.bpf.c'), upgradeHere]);
  copyFileSync(upgradeHere, join(tree, upgradeProbe));
  for (const { release, module } of kernels) copyFileSync(module, join(tree, `modules/${release}.ko`));
  const product = join(tree, 'opt/muster');
  cpSync(join(root, 'dist'), join(product, 'dist'), { recursive: true });
  cpSync(join(root, 'build/bpf'), join(product, 'build/bpf'), { recursive: true });
  copyFileSync(join(root, 'package.json'), join(product, 'package.json'));
  cpSync(productionModules(), join(product, 'node_modules'), { recursive: true, verbatimSymlinks: true });
  for (const service of ['loader', 'agent']) bundle(join(product, 'dist/services', service));
  rmSync(image, { force: true });
  execFileSync('mkfs.ext4', ['-q', '-F', '-d', tree, '-O', '^has_journal', '-m', '0', image, imageSize], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(tree, { recursive: true });
  writeFileSync(stamp, made);
  return image;
}

/** What set-up made is described by its stamps; the rest by its content. */
function digest(kernels: readonly Kernel[]): string {
  const hash = createHash('sha256');
  const stamps = ['build/stamps/tsc', 'build/stamps/bpf', 'build/stamps/load', 'node_modules/.muster'];
  const sources = [
    'test/kernels/init.sh',
    'test/kernels/image.ts',
    'test/kernels/probes/upgrade.bpf.c',
    'bpf/muster.bpf.h',
    'package.json',
  ];
  for (const file of [...stamps, ...sources]) hash.update(readFileSync(join(root, file)));
  hash.update(JSON.stringify(kernels.map((k) => k.release)));
  hash.update(process.version);
  return hash.digest('hex');
}

/** main.js of a service and all it imports, but for native code and what starts threads of its own: bundle.js. */
function bundle(service: string): void {
  const out = ['--bundle', '--platform=node', '--format=esm', `--outfile=${join(service, 'bundle.js')}`];
  const apart = ['ffi-napi', '@2060.io/ref-napi', 'pino'].map((name) => `--external:${name}`);
  const require =
    'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);';
  // The compiler that tsx brings.
  execFileSync(
    join(root, 'node_modules/.bin/esbuild'),
    [join(service, 'main.js'), ...out, ...apart, `--banner:js=${require}`, '--log-level=error'],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
}

/** node_modules without what only development needs, removed by npm itself; works offline. */
function productionModules(): string {
  const place = join(folder, 'production');
  const stamp = join(place, 'node_modules/.muster');
  const wanted = join(root, 'node_modules/.muster');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === readFileSync(wanted, 'utf8')) return dirname(stamp);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  for (const name of ['package.json', 'package-lock.json', '.npmrc']) copyFileSync(join(root, name), join(place, name));
  cpSync(join(root, 'node_modules'), dirname(stamp), { recursive: true, verbatimSymlinks: true });
  // Its absence until the end: npm may be interrupted.
  rmSync(stamp);
  execFileSync('npm', ['prune', '--omit=dev', '--offline', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: place,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  copyFileSync(wanted, stamp);
  return dirname(stamp);
}

const which = (program: string): string =>
  execFileSync('sh', ['-c', 'readlink -f "$(command -v "$0")"', program], { encoding: 'utf8' }).trim();

const libraryPath = (name: string): string => {
  const line = execFileSync('ldconfig', ['-p'], { encoding: 'utf8' })
    .split('\n')
    .find((l) => l.trim().startsWith(name) && l.includes('x86-64'));
  if (!line) throw new Error(`${name} is not installed: run deploy/setup.sh`);
  return line.slice(line.indexOf('=> ') + 3).trim();
};

function installProgram(tree: string, path: string, as = path): void {
  place(tree, path, as);
  for (const library of needs(path)) place(tree, library, library);
}

function installLibrary(tree: string, path: string): void {
  place(tree, path, path);
  for (const library of needs(path)) place(tree, library, library);
}

function place(tree: string, path: string, as: string): void {
  const to = join(tree, as);
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(path, to);
}

/** Shared libraries of a program, the loader among them; none of a static one. */
function needs(path: string): string[] {
  try {
    const text = execFileSync('ldd', [path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text.split('\n').flatMap((line) => /(\/\S+) \(0x/.exec(line)?.slice(1, 2) ?? []);
  } catch {
    return [];
  }
}
