// The page as a whole: which row is open, and what of it is shown.

const TURNS = 500; // shown at a time

class Page {
  constructor(store) {
    this.store = store;
    this.search = new Search(store);
    this.list = new ListView((row) => this.open(row));
    this.filters = new Filters(store, () => this.refresh());
    this.hits = null;
    this.searched = 0;
    this.row = null;
    this.text = '';
    this.folded = false;
    this.raw = false;
    this.turn = -1;
    this.turns = [];
    this.shown = 0;
    this.opening = 0;
    this.timers = {};
  }

  begin() {
    if (this.store.rows.length === 1) { // no list, but its search marks what it finds
      document.body.classList.add('single');
      document.getElementById('fold-button').before(document.getElementById('search'));
    }
    this.refresh();
    this.wire();
    if (!this.store.rows.length) {
      document.getElementById('talk').replaceChildren(make('p', 'empty', 'There are no rows in this file.'));
    }
    // A narrow screen shows the list first, unless the link says which row.
    if (!this.follow() && !matchMedia('(max-width: 760px)').matches) this.open(this.store.rows[0], { quiet: true });
    else if (this.store.rows.length === 1) this.open(this.store.rows[0], { quiet: true });
    listenToKeys(this);
    idle().then(() => this.search.readAhead());
  }

  wire() {
    const on = (id, act, event = 'click') => document.getElementById(id).addEventListener(event, act);
    on('raw-button', () => this.toggleRaw());
    on('fold-button', () => this.foldAll());
    on('theme-button', switchTheme);
    on('help-button', showHelp);
    on('back', () => this.back());
    on('search', () => this.searchSoon(), 'input');
    window.addEventListener('hashchange', () => this.follow());
    if (!this.store.problemCount) return;
    const problems = document.getElementById('problems-button');
    problems.hidden = false;
    problems.textContent = counted(this.store.problemCount, 'problem');
    problems.addEventListener('click', () => showProblems(this.store));
  }

  // --- which rows

  refresh() {
    const rows = this.filters.rows(this.hits);
    this.list.show(rows);
    const all = this.store.rows.length;
    const parts = [rows.length === all ? counted(all, 'row') : `${counted(rows.length)} of ${counted(all, 'row')}`];
    const tokens = rows.reduce((sum, row) => sum + Math.max(0, row.tokens), 0);
    const cost = rows.reduce((sum, row) => sum + (row.cost ?? 0), 0);
    if (tokens) parts.push(`${rounded(tokens)} tokens`);
    if (cost) parts.push(dollars(cost));
    if (this.hits && this.searched < all) parts.push(`searching… ${Math.floor((this.searched / all) * 100)} %`);
    document.getElementById('counts').textContent = parts.join(' · ');
  }

  searchSoon() {
    clearTimeout(this.timers.search);
    this.timers.search = setTimeout(() => this.searchNow(), 60);
  }

  searchNow() {
    found.query = document.getElementById('search').value.toLowerCase();
    this.search.stop();
    if (found.query) {
      this.search.find(found.query, (hits, searched) => {
        this.hits = hits;
        this.searched = searched;
        this.refresh();
      });
    } else {
      this.hits = null;
      this.refresh();
    }
    if (this.row) this.showRow();
  }

  clearSearch() {
    document.getElementById('search').value = '';
    this.searchNow();
  }

  focusSearch() {
    document.body.classList.remove('reading');
    document.getElementById('search').select();
    document.getElementById('search').focus();
  }

  // --- one row

  /** Opens the row that the address names. False if it names none. */
  follow() {
    const wanted = new URLSearchParams(location.hash.slice(1));
    const row = this.store.rows[Number(wanted.get('row')) - 1];
    if (!row) return false;
    this.open(row, { turn: Number(wanted.get('turn') ?? -1) });
    return true;
  }

  async open(row, { turn = -1, quiet = false } = {}) {
    if (!row) return;
    if (!quiet) document.body.classList.add('reading');
    this.list.mark(row);
    this.turn = turn;
    if (row !== this.row) {
      this.row = row;
      const opening = ++this.opening;
      found.goThere = false;
      let text;
      try {
        text = await this.store.text(row);
      } catch (error) {
        text = null;
        document.getElementById('talk').replaceChildren(make('p', 'empty', `Row ${row.number}: ${error.message}`));
      }
      if (opening !== this.opening || text === null) return; // another row was opened meanwhile
      this.text = text;
      this.showRow();
      document.getElementById('talk').scrollTop = 0;
      found.goThere = this.turn < 0;
    }
    if (this.turn >= 0) this.goToTurn(this.turn);
    if (!quiet) this.keepAddress();
  }

  showRow() {
    const talk = document.getElementById('talk');
    const value = jsonOrNothing(this.text);
    const turns = readTurns(value);
    const inside = make('div', 'talk-inside', factsView(this.row, value, this.store.files, turns));
    if (!turns.length) {
      inside.append(make('p', 'nothing', value === undefined ? 'This row cannot be read here; its text:'
        : 'This row is no conversation; what it holds:'));
      if (isObject(value)) putParts(inside, Object.entries(value));
      else putLong(inside, this.text, 'code', PROSE_LIMIT);
    }
    talk.replaceChildren(inside);
    this.turns = turns;
    this.shown = 0;
    this.showTurns(TURNS);
    this.folded = false;
    document.getElementById('fold-button').textContent = 'Fold';
    markFound();
    if (this.raw) this.showRaw();
  }

  /** Shows the turns up to that one, and a button for those that follow. */
  showTurns(end) {
    const inside = document.querySelector('.talk-inside');
    inside.querySelector('.more-turns')?.remove();
    const some = this.turns.slice(this.shown, end);
    inside.append(...some.map((turn, place) => this.turnView(turn, this.shown + place)));
    this.shown += some.length;
    const rest = this.turns.length - this.shown;
    if (rest > 0) inside.append(button(`${counted(rest, 'more turn')}`, 'more more-turns', () => this.showTurns(this.shown + TURNS)));
  }

  /** A turn that cannot be shown says so, and the others are shown. */
  turnView(turn, place) {
    try {
      return turnView(turn, place, this.row);
    } catch (error) {
      console.error('this turn cannot be shown:', error);
      return make('p', 'nothing', `Turn ${place} cannot be shown (${error.message}); the raw row has it.`);
    }
  }

  showRaw() {
    const pane = document.getElementById('raw');
    pane.hidden = !this.raw;
    pane.replaceChildren(...(this.raw && this.row ? [rawView(this.row, this.text)] : []));
  }

  toggleRaw() {
    this.raw = !this.raw;
    document.body.classList.toggle('with-raw', this.raw);
    document.getElementById('raw-button').setAttribute('aria-pressed', String(this.raw));
    this.showRaw();
  }

  /** First all closed, then all open: the second shows what is folded at first as well. */
  foldAll() {
    this.folded = !this.folded;
    for (const element of document.querySelectorAll('.turn details')) element.open = !this.folded;
    document.getElementById('fold-button').textContent = this.folded ? 'Unfold' : 'Fold';
  }

  step(steps) {
    this.open(this.list.beside(steps));
  }

  stepTurn(steps) {
    if (!this.turns.length) return;
    this.goToTurn(Math.min(this.turns.length - 1, Math.max(0, this.turn + steps)));
    this.keepAddress();
  }

  goToTurn(turn) {
    if (turn >= this.shown && turn < this.turns.length) this.showTurns(turn + TURNS);
    const element = document.getElementById(`turn-${turn}`);
    if (!element) return;
    this.turn = turn;
    document.querySelector('.turn.current')?.classList.remove('current');
    element.classList.add('current');
    element.scrollIntoView({ block: 'start' });
  }

  back() {
    if (this.raw && matchMedia('(max-width: 760px)').matches) this.toggleRaw();
    else document.body.classList.remove('reading');
  }

  /** Puts the row into the address, a moment later: a key held down must not flood the browser. */
  keepAddress() {
    clearTimeout(this.timers.address);
    this.timers.address = setTimeout(() => {
      const turn = this.turn >= 0 ? `&turn=${this.turn}` : '';
      history.replaceState(null, '', `#row=${this.row.number}${turn}`);
    }, 150);
  }
}

Store.open().then((store) => new Page(store).begin()).catch((error) => {
  document.getElementById('counts').textContent = '';
  document.getElementById('talk').replaceChildren(make('p', 'empty', `This page cannot be shown: ${error.message}`));
});
