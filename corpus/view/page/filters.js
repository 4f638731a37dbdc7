// Which rows are listed: by what the index knows of them, and in which order.

const FILTERS = [
  ['tool', 'Any tool', (row) => (row.tools.length ? row.tools : ['(none)'])],
  ['outcome', 'Any outcome', (row) => [row.outcome || '(unknown)']],
  ['model', 'Any model', (row) => [row.model || '(unknown)']],
  ['flag', 'Any flag', (row) => (row.flags.length ? row.flags : ['(none)'])],
  ['file', 'Any file', (row, files) => [files[row.file]]],
];

const ORDERS = [
  ['In file order', null],
  ['Most turns', (row) => row.turns],
  ['Most tokens', (row) => row.tokens],
  ['Highest cost', (row) => row.cost ?? -1],
  ['Largest', (row) => row.size],
];

class Filters {
  constructor(store, changed) {
    this.store = store;
    this.wanted = new Map();
    this.order = null;
    const box = document.getElementById('filters');
    for (const [name, any, values] of FILTERS) {
      const select = this.select(name, any, values);
      if (!select) continue;
      select.addEventListener('change', () => {
        if (select.selectedIndex > 0) this.wanted.set(name, [values, select.value]);
        else this.wanted.delete(name);
        select.classList.toggle('set', select.selectedIndex > 0);
        changed();
      });
      box.append(select);
    }
    if (store.rows.length > 1) box.append(this.orderSelect(changed));
  }

  /** Nothing where all rows are alike: there would be nothing to choose. */
  select(name, any, values) {
    const counts = new Map();
    for (const row of this.store.rows) {
      for (const value of values(row, this.store.files)) counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    if (counts.size < 2) return null;
    const select = document.createElement('select');
    select.id = `filter-${name}`;
    select.setAttribute('aria-label', any.replace('Any', 'By'));
    select.append(new Option(any, ''));
    const byCount = [...counts].sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1));
    for (const [value, count] of byCount.slice(0, 1000)) {
      select.append(new Option(`${visible(value)}  (${counted(count)})`, value));
    }
    return select;
  }

  orderSelect(changed) {
    const select = document.createElement('select');
    select.id = 'order';
    select.setAttribute('aria-label', 'Order');
    ORDERS.forEach(([label], place) => select.append(new Option(label, String(place))));
    select.addEventListener('change', () => {
      this.order = ORDERS[select.selectedIndex][1];
      select.classList.toggle('set', select.selectedIndex > 0);
      changed();
    });
    return select;
  }

  /** The rows to list, in order; `hits` are those the search found, null without one. */
  rows(hits) {
    const wanted = [...this.wanted.values()];
    const rows = this.store.rows.filter((row) => (!hits || hits.has(row))
      && wanted.every(([values, value]) => values(row, this.store.files).includes(value)));
    const { order } = this;
    return order ? rows.sort((one, other) => order(other) - order(one) || one.number - other.number) : rows;
  }
}
