// What the person searches for, as the conversation shows it: where it stands, marked without touching the text.

const MARKS = 5000; // on one page; beyond that marking costs more than it helps

const found = { query: '', timer: 0, goThere: false, ranges: [], at: -1 };

/** Where the query stands in the text, -1 if nowhere or there is no query. */
function foundAt(text) {
  return found.query ? text.toLowerCase().indexOf(found.query) : -1;
}

/** Marks the query in the conversation, a moment after the last call: folds open one after the other. */
function markFound() {
  if (!window.Highlight) return;
  clearTimeout(found.timer);
  found.timer = setTimeout(() => {
    const ranges = [];
    const walker = document.createTreeWalker(document.getElementById('talk'), NodeFilter.SHOW_TEXT);
    while (found.query && ranges.length < MARKS && walker.nextNode()) markIn(walker.currentNode, ranges);
    CSS.highlights.set('found', new Highlight(...ranges));
    Object.assign(found, { ranges, at: -1 });
    if (found.goThere) nextFound();
    found.goThere = false;
  }, 30);
}

/** Goes to the next place that is marked, after the last to the first. False if there is none. */
function nextFound() {
  if (!found.ranges.length) return false;
  found.at = (found.at + 1) % found.ranges.length;
  const range = found.ranges[found.at];
  range.startContainer.parentElement?.scrollIntoView({ block: 'center' });
  CSS.highlights.set('found-here', new Highlight(range));
  return true;
}

function markIn(node, ranges) {
  const text = node.data.toLowerCase();
  if (text.length !== node.data.length) return; // a letter that grows in lower case: places would not fit
  for (let at = text.indexOf(found.query); at >= 0 && ranges.length < MARKS;
    at = text.indexOf(found.query, at + found.query.length)) {
    const range = new Range();
    range.setStart(node, at);
    range.setEnd(node, at + found.query.length);
    ranges.push(range);
  }
}
