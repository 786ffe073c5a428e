/** `muster completion`: a script for bash, zsh or fish that completes verbs and their flags, made from the verbs themselves. */
import { MusterError } from '../../shared/runtime/errors.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

export interface CompletedVerb {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly { readonly flag: string; readonly help: string }[];
}

export const completionExamples: readonly [string, string] = [
  'source <(muster completion bash)',
  'muster completion fish > ~/.config/fish/completions/muster.fish',
];

/** The long form: "-o, --output <format>" → "--output". */
const long = (flag: string): string => /--[a-z-]+/.exec(flag)?.[0] ?? flag;
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export function completionScript(shell: string, verbs: readonly CompletedVerb[]): string {
  switch (shells.find((s) => s === shell)) {
    case 'bash':
      return bash(verbs);
    case 'zsh':
      return zsh(verbs);
    case 'fish':
      return fish(verbs);
    case undefined:
      throw new MusterError('config/invalid', `muster completion ${JSON.stringify(shell)}: not ${shells.join(', ')}`, {
        remedy: 'for example `source <(muster completion bash)`',
      });
  }
}

const flags = (verb: CompletedVerb): string => [...verb.options.map((o) => long(o.flag)), '--help'].join(' ');

const bash = (verbs: readonly CompletedVerb[]): string => `# bash completion of muster
_muster() {
  local word=\${COMP_WORDS[COMP_CWORD]} flags=
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W ${quoted(verbs.map((v) => v.name).join(' '))} -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${verbs.map((v) => `    ${v.name}) flags=${quoted(flags(v))} ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$flags" -- "$word"))
}
complete -o default -F _muster muster
`;

const zsh = (verbs: readonly CompletedVerb[]): string => `#compdef muster
_muster() {
  local -a verbs
  verbs=(${verbs.map((v) => quoted(`${v.name}:${v.summary.replaceAll(':', '\\:')}`)).join(' ')})
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  case $words[2] in
${verbs.map((v) => `    ${v.name}) _values flag ${flags(v).split(' ').map(quoted).join(' ')} ;;`).join('\n')}
  esac
}
compdef _muster muster
`;

const fish = (verbs: readonly CompletedVerb[]): string =>
  [
    '# fish completion of muster',
    'complete -c muster -f',
    ...verbs.flatMap((v) => [
      `complete -c muster -n __fish_use_subcommand -a ${v.name} -d ${quoted(v.summary)}`,
      ...v.options.map(
        (o) =>
          `complete -c muster -n '__fish_seen_subcommand_from ${v.name}' -l ${long(o.flag).slice(2)} -d ${quoted(o.help)}`,
      ),
    ]),
    '',
  ].join('\n');
