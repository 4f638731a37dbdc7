// The list of rows. Only those in sight are on the page, so that ten thousand cost no more than ten.

const ROW_HEIGHT = 62; // px, as in list.css
const BEYOND = 6; // rows made above and below those in sight

class ListView {
  constructor(choose) {
    this.list = document.getElementById('list');
    this.space = document.getElementById('list-space');
    this.rows = [];
    this.chosen = null;
    this.pending = false;
    this.choose = choose;
    this.list.addEventListener('scroll', () => this.later());
    new ResizeObserver(() => this.later()).observe(this.list);
    this.space.addEventListener('click', (event) => {
      const item = event.target.closest('.item');
      if (item) choose(this.rows[Number(item.dataset.place)]);
    });
  }

  show(rows) {
    this.rows = rows;
    this.space.style.height = `${rows.length * ROW_HEIGHT}px`;
    this.draw();
  }

  /** Draws once before the next picture, however often it was asked to. */
  later() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
    });
  }

  draw() {
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW_HEIGHT) - BEYOND);
    const last = Math.min(this.rows.length, Math.ceil((this.list.scrollTop + this.list.clientHeight) / ROW_HEIGHT) + BEYOND);
    const items = [];
    for (let place = first; place < last; place++) items.push(this.item(this.rows[place], place));
    this.space.replaceChildren(...items);
    const active = this.rows.includes(this.chosen);
    if (active) this.list.setAttribute('aria-activedescendant', `item-${this.chosen.number}`);
    else this.list.removeAttribute('aria-activedescendant');
  }

  item(row, place) {
    const title = make('span', 'title', row.title || row.id || '(no words)');
    title.dir = 'auto';
    const facts = make('span', 'line', make('span', 'place', `#${row.number}`));
    facts.append(make('span', `dot ${row.outcome ? outcomeClass(row.outcome) : 'none'}`));
    for (const text of [row.outcome, counted(row.turns, 'turn'), row.tokens >= 0 ? `${rounded(row.tokens)} tok` : '',
      row.model.split('/').pop()]) {
      if (text) facts.append(make('span', 'bit', text));
    }
    const item = make('div', `item${row === this.chosen ? ' chosen' : ''}`, title, facts);
    item.id = `item-${row.number}`;
    item.dataset.place = place;
    item.setAttribute('role', 'option');
    item.setAttribute('aria-selected', String(row === this.chosen));
    item.setAttribute('aria-setsize', String(this.rows.length));
    item.setAttribute('aria-posinset', String(place + 1));
    item.style.transform = `translateY(${place * ROW_HEIGHT}px)`;
    return item;
  }

  mark(row) {
    this.chosen = row;
    const place = this.rows.indexOf(row);
    if (place >= 0) {
      const top = place * ROW_HEIGHT;
      const { scrollTop, clientHeight } = this.list;
      if (top < scrollTop) this.list.scrollTop = top;
      else if (top + ROW_HEIGHT > scrollTop + clientHeight) this.list.scrollTop = top + ROW_HEIGHT - clientHeight;
    }
    this.draw();
  }

  /** The row `steps` further down the list (up, if negative); the first if none is chosen. */
  beside(steps) {
    const place = this.rows.indexOf(this.chosen);
    if (place < 0) return this.rows[0];
    return this.rows[Math.min(this.rows.length - 1, Math.max(0, place + steps))];
  }
}
