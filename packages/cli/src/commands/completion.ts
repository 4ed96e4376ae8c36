import type { CommandModule } from "../command.ts";
import { cliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";

/** A shell's script only asks us, so that it never has to be renewed: candidates are lines, a description follows a tab. */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_shipside() {
  local IFS=$'\\n' line
  COMPREPLY=()
  while read -r line; do
    if [[ $line == :file ]]; then compopt -o default; return; fi
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(shipside __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _shipside shipside
`,
  zsh: `#compdef shipside
_shipside() {
  local -a candidates
  local line
  for line in "\${(@f)$(shipside __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :file ]]; then _files; return; fi
    [[ -n $line ]] && candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}\${\${line#*$'\\t'}:+:\${line#*$'\\t'}}")
  done
  _describe shipside candidates
}
compdef _shipside shipside
`,
  fish: `function __shipside_complete
  set -l words (commandline --tokenize --cut-at-cursor --current-process)[2..]
  for line in (shipside __complete $words (commandline --current-token) 2>/dev/null)
    if test "$line" = :file
      __fish_complete_path (commandline --current-token)
    else
      echo $line
    end
  end
end
complete --command shipside --no-files --arguments '(__shipside_complete)'
`,
};

export const run: CommandModule["run"] = async ({ words: [shell = ""] }, terminal) => {
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell]! : undefined;
  if (script === undefined) {
    throw cliError("USAGE", `no completion for ${JSON.stringify(shell)}`, { hint: `there is ${Object.keys(SCRIPTS).join(", ")}` });
  }
  terminal.result({ shell, script }, script);
  return EXIT.ok;
};
