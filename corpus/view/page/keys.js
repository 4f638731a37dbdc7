// The keyboard. A key that is typed into a field belongs to the field.

function listenToKeys(page) {
  const keys = {
    j: () => page.step(1), ArrowDown: () => page.step(1), k: () => page.step(-1), ArrowUp: () => page.step(-1),
    n: () => page.stepTurn(1), p: () => page.stepTurn(-1), f: () => page.foldAll(), r: () => page.toggleRaw(),
    g: () => page.step(-Infinity), G: () => page.step(Infinity), '?': showHelp, Escape: () => page.back(),
    '/': () => page.focusSearch(),
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById('dialog').open) return;
    const search = document.getElementById('search');
    if (event.target === search) {
      if (event.key === 'Escape' || event.key === 'Enter' || event.key === 'ArrowDown') {
        event.preventDefault();
        if (event.key === 'Enter' && nextFound()) return;
        if (event.key === 'Escape') page.clearSearch();
        search.blur();
        if (event.key !== 'Escape') page.step(0);
      }
      return;
    }
    if (event.target.closest('select, input')) return;
    // Arrows scroll what has the focus, except the list itself.
    if (event.key.startsWith('Arrow') && event.target.closest('#talk, #raw')) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
