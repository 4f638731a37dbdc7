// The parts of the page around a conversation: raw row, problems, help, light and dark.

const KEYS_TOLD = [
  ['j  k  or  ↓  ↑', 'next and previous row'], ['n  p', 'next and previous turn'], ['/', 'search; Enter goes from hit to hit'],
  ['f', 'fold or unfold reasoning and results'], ['r', 'raw row beside it'], ['g  G', 'first and last row'],
  ['?', 'these keys'], ['Esc', 'back'],
];

function showDialog(title, ...content) {
  const dialog = document.getElementById('dialog');
  const close = button('Close', 'quiet', () => dialog.close());
  dialog.replaceChildren(make('header', 'dialog-head', make('h2', '', title), close), ...content);
  dialog.showModal();
}

function showHelp() {
  const list = make('dl', 'keys');
  for (const [keys, what] of KEYS_TOLD) list.append(make('dt', '', keys), make('dd', '', what));
  showDialog('Keys', list);
}

function showProblems(store) {
  const list = make('ul', 'problems');
  for (const [file, line, reason] of store.problems.map((each) => [each.file, each.line, each.reason])) {
    const where = `${store.files.length > 1 || !line ? store.files[file] + ' ' : ''}${line ? `line ${counted(line)}` : ''}`;
    list.append(make('li', '', make('span', 'where', where.trim()), make('span', '', reason)));
  }
  const more = store.problemCount - store.problems.length;
  const rest = more > 0 ? make('p', 'nothing', `and ${counted(more)} more`) : '';
  showDialog(counted(store.problemCount, 'problem'), make('p', 'nothing', 'Lines that were left out or mended.'), list, rest);
}

/** Light, dark, or as the system has it (the first state). */
function switchTheme() {
  const root = document.documentElement;
  const dark = root.style.colorScheme
    ? root.style.colorScheme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.style.colorScheme = dark ? 'light' : 'dark';
}
